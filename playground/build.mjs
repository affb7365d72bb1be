// Bundles the playground into dist/: a page, one script and one stylesheet, the two named by what they hold.
//
// The documents beside this file become the page's journeys. Nothing in the result points elsewhere: typefaces are the reader's own.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

// `import documents from "documents"`: the text of each journey's document by its file's name.
const documents = {
  name: "documents",
  setup(bundle) {
    bundle.onResolve({ filter: /^documents$/ }, () => ({ path: "documents", namespace: "documents" }));
    bundle.onLoad({ filter: /.*/, namespace: "documents" }, async () => {
      const names = (await readdir(here)).filter((name) => name.endsWith(".graphql")).sort();
      const texts = await Promise.all(names.map((name) => readFile(join(here, name), "utf8")));
      return { contents: JSON.stringify(Object.fromEntries(names.map((name, index) => [name.replace(/\.graphql$/, ""), texts[index]]))), loader: "json" };
    });
  },
};

// GraphiQL's stylesheet carries its typefaces as base64, which is nine tenths of it.
const readersTypefaces = {
  name: "readers-typefaces",
  setup(bundle) {
    bundle.onLoad({ filter: /graphiql[\\/]dist[\\/]style\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(/@font-face\s*\{[^}]*\}/g, ""),
      loader: "css",
    }));
  },
};

// Radix's dialogs stop the page from scrolling by a <style> made on the fly, which the policy forbids; this page does not scroll.
const still = { name: "still", setup: (bundle) => bundle.onResolve({ filter: /^react-remove-scroll$/ }, () => ({ path: join(here, "src/still.jsx") })) };

const bundled = await build({
  absWorkingDir: here,
  entryPoints: { playground: "src/main.jsx" },
  outdir: dist,
  write: false,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome109", "firefox115", "safari16"],
  jsx: "automatic",
  loader: { ".ofx": "text" },
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none",
  logLevel: "error",
  plugins: [documents, readersTypefaces, still],
});

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
let page = await readFile(join(here, "index.html"), "utf8");
for (const { path, contents } of bundled.outputFiles) {
  const [, kind] = /\.(js|css)$/.exec(path);
  const name = `graphiql-${createHash("sha256").update(contents).digest("hex").slice(0, 12)}.${kind}`;
  await writeFile(join(dist, name), contents);
  page = page.replace(`graphiql.${kind}`, name);
}
await writeFile(join(dist, "index.html"), page);
