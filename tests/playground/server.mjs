// The built binary as a newcomer runs it, in a data folder of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { once } from "node:events";

// Starts `dashtam demo`; `ready` is the line it prints, `stop` ends it and takes its folder away.
export async function demo(binary) {
  const folder = await mkdtemp(join(tmpdir(), "dashtam-playground."));
  const settings = Object.entries(process.env).filter(([name]) => !name.startsWith("DASHTAM_") && name !== "DATABASE_URL");
  const server = spawn(binary, ["--data-dir", folder, "demo", "--bind", "127.0.0.1:0", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
    // One address signs in far more often than people do.
    env: { ...Object.fromEntries(settings), DASHTAM_RATE_LIMITS__ENABLED: "false" },
  });
  // A run that breaks off leaves nothing running.
  process.once("exit", () => server.kill());
  let log = "";
  server.stderr.on("data", (text) => (log += text));
  const ended = once(server, "exit");
  const lines = createInterface({ input: server.stdout });
  const first = await Promise.race([once(lines, "line"), ended]);
  if (typeof first[0] !== "string" || !first[0].startsWith("{")) throw new Error(`${binary} demo did not start:\n${log}`);
  const stop = async () => {
    server.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { ready: JSON.parse(first[0]), stop };
}
