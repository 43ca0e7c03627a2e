// Subscribes this browser, sends a message to its user through the API, and follows its events.

const page = document.body.dataset;
const find = (id) => document.getElementById(id);
const FINAL = { succeeded: "good", partial: "bad", failed: "bad", canceled: "bad", expired: "bad" };
let apiKey;

start().catch(tell);

async function start() {
  if (!("serviceWorker" in navigator && "PushManager" in window)) {
    throw new Error("This browser does not support Web Push, or this page is not in a secure context.");
  }
  const registration = await navigator.serviceWorker.register(page.worker);
  navigator.serviceWorker.addEventListener("message", ({ data }) => {
    if (data.shown) note(`shown here: “${data.shown}”`, "good");
  });
  find("subscribe").addEventListener("click", guarded(() => subscribe(registration)));
  find("unsubscribe").addEventListener("click", guarded(() => unsubscribe(registration)));
  find("send").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(send)();
  });
  const subscription = await registration.pushManager.getSubscription();
  if (subscription) await register(subscription);
  draw(subscription);
}

async function subscribe(registration) {
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Error("Notifications from this site are blocked in the settings of this browser.");
  }
  const ready = await navigator.serviceWorker.ready;
  const subscription = await ready.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: page.vapidKey,
  });
  await register(subscription);
  draw(subscription);
}

async function unsubscribe(registration) {
  const subscription = await registration.pushManager.getSubscription();
  await subscription?.unsubscribe();
  const { devices } = await call(page.devices);
  const kept = localStorage.getItem("device");
  if (devices.some((device) => String(device.id) === kept)) {
    await call(`${page.devices}/${kept}`, { method: "DELETE" });
  }
  localStorage.removeItem("device");
  draw(null);
}

// On every visit, too: that keeps the address up to date.
async function register(subscription) {
  const address = JSON.stringify(subscription);
  const body = { platform: "web", address, locale: navigator.language };
  // Somebody else may have used this browser: then a code that is pushed here proves that it is ours.
  const proof = pushedCode();
  let device = await call(page.devices, { method: "POST", body });
  if (device.state === "unproven") {
    device = await call(page.devices, { method: "POST", body: { ...body, proof: await proof } });
  }
  localStorage.setItem("device", device.id);
}

function pushedCode() {
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener("message", ({ data }) => {
      if (data.proof) resolve(data.proof);
    });
  });
}

function draw(subscription) {
  const host = subscription && new URL(subscription.endpoint).host;
  find("subscription").textContent = subscription
    ? `This browser is subscribed; its push service is ${host}.`
    : "This browser is not subscribed yet.";
  find("subscribe").hidden = Boolean(subscription);
  find("subscribe").disabled = false;
  find("unsubscribe").hidden = !subscription;
  find("submit").disabled = !subscription;
}

async function send() {
  const form = new FormData(find("send"));
  apiKey ??= (await call(page.key, { method: "POST" })).key;
  const row = await call(page.api, {
    method: "POST",
    body: {
      recipients: [{ user: page.user }],
      title: form.get("title"),
      body: form.get("body"),
      backend: "webpush",
      ttl: 3600,
    },
    bearer: apiKey,
  });
  find("log").replaceChildren();
  note(`accepted as ${row.id}`);
  await follow(row);
}

// EventSource cannot send a key, so the stream is read by hand.
async function follow(row) {
  const response = await fetch(`${page.api}/${row.id}/events`, { headers: headers(apiKey) });
  if (response.status !== 200) return poll(row);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return undefined;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) {
        const state = JSON.parse(data.slice(6));
        show(state);
        if (state.done) return reader.cancel();
      }
    }
  }
}

// If the server cannot stream.
async function poll(row) {
  let known = "";
  for (;;) {
    const state = await call(row.links.self, { bearer: apiKey });
    if (state.status !== known) show(state);
    if (state.done) return;
    known = state.status;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function show(state) {
  const code = state.error_code || state.error?.code;
  note(code ? `${state.status}: ${code}` : state.status, FINAL[state.status]);
}

function note(text, look = "") {
  find("nothing").hidden = true;
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  const what = document.createElement("span");
  what.textContent = text;
  what.className = look;
  line.append(time, what);
  find("log").append(line);
}

async function call(url, { method = "GET", body, bearer } = {}) {
  const response = await fetch(url, {
    method,
    headers: headers(bearer),
    body: body && JSON.stringify(body),
  });
  const answer = response.status === 204 ? {} : await response.json();
  if (!response.ok) {
    const reasons = answer.errors?.map((error) => `${error.pointer}: ${error.detail}`).join("; ");
    throw new Error(reasons || answer.detail || `The server answered ${response.status}.`);
  }
  return answer;
}

function headers(bearer) {
  const own = bearer ? { Authorization: `Bearer ${bearer}` } : { "X-CSRFToken": page.csrf };
  return { "Content-Type": "application/json", ...own };
}

function guarded(action) {
  return () => {
    find("problem").hidden = true;
    action().catch(tell);
  };
}

function tell(error) {
  find("problem").textContent = error.message;
  find("problem").hidden = false;
}
