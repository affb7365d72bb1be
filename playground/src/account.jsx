// Signing in, seeing who is, signing out, and opening an account where the server lets people do so.
import { useEditorContext } from "@graphiql/react";
import { useEffect, useRef, useState } from "react";
import { useOpen } from "./journey-list.jsx";
import { journeys } from "./journeys.js";
import { register, signIn, signOut, verify, who } from "./session.js";
import { useWatched, watched } from "./watched.js";

// Whether the dialog is open.
export const door = watched(false);

export function Account({ canRegister }) {
  const user = useWatched(who);
  const [isLeaving, setLeaving] = useState(false);
  const leave = async () => {
    setLeaving(true);
    await signOut();
    setLeaving(false);
  };
  return (
    <div className="account">
      {user ? (
        <>
          <p>
            <span className="unseen">Signed in as </span>
            <strong title={user.email}>{user.email}</strong>
          </p>
          <button type="button" className="quiet" disabled={isLeaving} onClick={leave}>
            Sign out
          </button>
        </>
      ) : (
        <button type="button" onClick={() => door.set(true)}>
          Sign in
        </button>
      )}
      <Door canRegister={canRegister} />
    </div>
  );
}

function Door({ canRegister }) {
  const isOpen = useWatched(door);
  const dialog = useRef(null);
  const [isNew, setNew] = useState(false);
  useEffect(() => {
    if (isOpen) dialog.current.showModal();
    else dialog.current.close();
  }, [isOpen]);
  const shut = () => {
    door.set(false);
    setNew(false);
  };
  return (
    <dialog ref={dialog} className="door" aria-labelledby="door" onClose={shut}>
      {isOpen && (isNew ? <Register onBack={() => setNew(false)} /> : <SignIn canRegister={canRegister} onNew={() => setNew(true)} />)}
    </dialog>
  );
}

function SignIn({ canRegister, onNew }) {
  const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
  const open = useOpen();
  const [challenge, setChallenge] = useState(null);
  const [expired, setExpired] = useState("");
  const isIn = () => {
    door.set(false);
    // Who has signed in here has no use for the journey that does so.
    if (tabs[activeTabIndex].operationName === "SignIn") open(journeys.find(({ name }) => name === "accounts-with-transactions"));
  };
  const [problem, isBusy, submit] = useSubmit(async ({ email, password }) => {
    setExpired("");
    const challenge = await signIn(email.trim(), password);
    if (challenge) setChallenge(challenge);
    else isIn();
  });
  const startOver = (why) => {
    setChallenge(null);
    setExpired(why);
  };
  if (challenge) return <Code challenge={challenge} onIn={isIn} onBack={startOver} />;
  return (
    <form onSubmit={submit}>
      <h2 id="door">Sign in</h2>
      <p>Your tokens stay in this page’s memory and are renewed in time. Closing or reloading the page signs you out.</p>
      <Credentials passwordKind="current-password" />
      <Problem text={problem || expired} />
      <Actions name="Sign in" isBusy={isBusy} />
      {canRegister && (
        <p>
          New here?{" "}
          <button type="button" className="link" onClick={onNew}>
            Create an account
          </button>
        </p>
      )}
    </form>
  );
}

function Code({ challenge, onIn, onBack }) {
  const [problem, isBusy, submit] = useSubmit(async ({ code }) => {
    try {
      await verify(challenge, code);
    } catch (failure) {
      if (failure.refused?.includes("CHALLENGE_INVALID")) return onBack(failure.message);
      throw failure;
    }
    onIn();
  });
  return (
    <form onSubmit={submit}>
      <h2 id="door">Enter your code</h2>
      <p>This account has a second factor: the six digits that your authenticator app shows now, or one of your recovery codes.</p>
      <label>
        Code
        <input name="code" autoComplete="one-time-code" autoCapitalize="none" spellCheck={false} required autoFocus />
      </label>
      <Problem text={problem} />
      <Actions name="Go on" isBusy={isBusy} />
      <p>
        <button type="button" className="link" onClick={() => onBack("")}>
          Back to signing in
        </button>
      </p>
    </form>
  );
}

function Register({ onBack }) {
  const [sentTo, setSentTo] = useState("");
  const [problem, isBusy, submit] = useSubmit(async ({ email, password }) => {
    await register(email.trim(), password);
    setSentTo(email.trim());
  });
  const back = (
    <button type="button" className="link" onClick={onBack}>
      Back to signing in
    </button>
  );
  if (sentTo) {
    return (
      <>
        <h2 id="door">Look into your mail</h2>
        <p role="status">
          If {sentTo} can have an account, a message is on its way there. Follow it to confirm the address, then sign in. A development server shows its mail
          at <a href="/dev/mail" target="_blank" rel="noopener noreferrer">/dev/mail</a>.
        </p>
        <p>{back}</p>
      </>
    );
  }
  return (
    <form onSubmit={submit}>
      <h2 id="door">Create an account</h2>
      <Credentials passwordKind="new-password" />
      <Problem text={problem} />
      <Actions name="Create account" isBusy={isBusy} />
      <p>{back}</p>
    </form>
  );
}

function Credentials({ passwordKind }) {
  return (
    <>
      <label>
        E-mail
        <input name="email" type="email" autoComplete="username" autoCapitalize="none" spellCheck={false} required autoFocus />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete={passwordKind} required />
      </label>
    </>
  );
}

function Problem({ text }) {
  return (
    <p className="problem" role="alert">
      {text}
    </p>
  );
}

function Actions({ name, isBusy }) {
  return (
    <div className="actions">
      <button type="submit" disabled={isBusy}>
        {isBusy ? "One moment …" : name}
      </button>
      <button type="button" className="quiet" onClick={() => door.set(false)}>
        Cancel
      </button>
    </div>
  );
}

// The problem to show, whether the form is on its way, and its handler.
function useSubmit(send) {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    setProblem("");
    setBusy(true);
    try {
      await send(fields);
    } catch (failure) {
      setProblem(failure.message);
    }
    setBusy(false);
  };
  return [problem, isBusy, submit];
}
