// Every step works without this file; it only makes them quicker and leaves less behind.

const SHOW_COPIED_MS = 2500;
let copiedTimer;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form[data-at-delete]")) askToDelete(event, form);
  else if (form.matches("form[data-at-once]")) submitOnce(event, form);
});

document.addEventListener("click", (event) => {
  event.target.closest("[data-at-cancel]")?.closest("dialog")?.close();
});

// The page may come back from the browser's memory, with the button still pressed.
addEventListener("pageshow", () => document.querySelectorAll("form[data-at-once]").forEach(allowSubmit));

document.querySelectorAll("[data-at-secret]").forEach(guardSecret);

// Delete: ask in a dialog, filled from the row, instead of on a page of its own.

function askToDelete(event, form) {
  const dialog = document.getElementById(form.dataset.atDelete);
  if (!dialog?.showModal) return;
  event.preventDefault();
  for (const slot of dialog.querySelectorAll("[data-at-slot]")) {
    const source = form.closest("[role=row]").querySelector(`[data-at-slot="${slot.dataset.atSlot}"]`);
    slot.replaceChildren(...(source?.cloneNode(true).childNodes ?? [])); // a row of the site may lack it
  }
  const confirm = dialog.querySelector("form");
  confirm.action = form.action;
  allowSubmit(confirm);
  dialog.addEventListener("close", () => form.querySelector("button").focus(), { once: true });
  dialog.showModal();
}

// Generate, delete: one press, one request.

function submitOnce(event, form) {
  if ("atSent" in form.dataset) {
    event.preventDefault();
    return;
  }
  form.dataset.atSent = "";
  submitButton(form)?.setAttribute("aria-disabled", "true");
}

function allowSubmit(form) {
  delete form.dataset.atSent;
  submitButton(form)?.removeAttribute("aria-disabled");
}

function submitButton(form) {
  return form.querySelector("button[type=submit]");
}

// Reveal: copy and say so, ask before leaving without a copy, leave nothing behind.

function guardSecret(box) {
  const code = box.querySelector("code");
  const button = box.querySelector("[data-at-copy]");
  const listUrl = box.dataset.atSecret;
  let kept = false;

  button.hidden = false;
  button.addEventListener("click", async () => {
    const copied = await copy(code);
    button.focus();
    kept ||= copied;
    report(box, button, copied);
    if (!copied) select(code);
  });
  document.addEventListener("copy", () => {
    kept ||= getSelection().toString().includes(code.textContent);
  });
  document.querySelectorAll("[data-at-done]").forEach((link) => {
    link.addEventListener("click", () => {
      kept = true;
    });
  });

  history.replaceState(history.state, "", listUrl); // reloading shows the list, and posts nothing
  addEventListener("beforeunload", (event) => {
    if (!kept && code.isConnected) event.preventDefault();
  });
  addEventListener("pagehide", () => {
    kept = true;
    code.textContent = "";
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.replace(listUrl);
  });
}

async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    select(code); // no permission, or no HTTPS
    return document.execCommand("copy");
  }
}

function select(element) {
  getSelection().selectAllChildren(element);
}

function report(box, button, copied) {
  const label = button.querySelector("[data-at-label]");
  const status = box.parentElement.querySelector("[role=status]");
  const { idle, done, said, manual } = button.dataset;
  status.classList.toggle("at-sr", copied);
  status.textContent = copied ? said : manual;
  if (!copied) return;
  label.textContent = done;
  button.dataset.copied = "";
  clearTimeout(copiedTimer);
  copiedTimer = setTimeout(() => {
    label.textContent = idle;
    status.textContent = "";
    delete button.dataset.copied;
  }, SHOW_COPIED_MS);
}
