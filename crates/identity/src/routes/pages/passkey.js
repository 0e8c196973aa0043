(() => {
  // Buttons for passkeys, the one thing here that no form can do. Without a script, or where a browser has none, they are not shown.
  const { kind, ticket, to } = document.currentScript.dataset;
  const button = document.getElementById("passkey");
  const said = document.getElementById("passkey-said");
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) return;
  button.hidden = false;
  const ask = async (step, body) => {
    const csrf = document.cookie.match(/(?:^|; )(?:__Host-)?csrf=([^;]*)/)?.[1] ?? "";
    const answer = await fetch(`/auth/passkey/${kind}/${step}?cookies`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(body),
    });
    const told = answer.status === 204 ? {} : await answer.json();
    if (told.key === "auth.recent_required") location.assign("/auth/pages/confirm");
    if (!answer.ok) throw new Error(told.detail || told.title);
    return told;
  };
  let waiting;
  const go = async (mediation) => {
    waiting?.abort();
    const mine = (waiting = new AbortController());
    const given = ticket ? { ticket } : {};
    const { publicKey } = await ask("begin", given);
    const signal = mine.signal;
    const credential =
      kind === "register"
        ? await navigator.credentials.create({
            publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey),
            signal,
          })
        : await navigator.credentials.get({
            publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
            mediation,
            signal,
          });
    const done = await ask("finish", { ...given, credential: credential.toJSON() });
    if (!done.recovery_codes) return location.assign(to);
    button.hidden = true;
    said.textContent = "Your passkey is made. Keep these recovery codes: " + done.recovery_codes.join(" ");
  };
  const tell = (error) => {
    if (error.name !== "AbortError") said.textContent = error.message;
  };
  button.addEventListener("click", () => go(undefined).catch(tell));
  if (kind === "login" && !ticket) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then(
      (is) => is && go("conditional").catch(() => {}),
    );
  }
})();
