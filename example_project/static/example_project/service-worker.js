// Shows a push message, and opens the page it names. The payload is a declarative push message.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let message = {};
  try {
    message = event.data?.json() ?? {};
  } catch {
    message = { notification: { title: event.data.text() } };
  }
  const proof = message.data?.pushjobs_challenge;
  if (proof) {
    // The page that registers this browser waits for it.
    event.waitUntil(tell({ proof }));
    return;
  }
  const { title = "A message", navigate, ...options } = message.notification ?? {};
  // A browser that was woken without showing anything loses its subscription.
  event.waitUntil(show(title, { ...options, data: { ...options.data, navigate } }));
});

async function show(title, options) {
  await self.registration.showNotification(title, options);
  await tell({ shown: title });
}

async function tell(news) {
  for (const client of await self.clients.matchAll({ includeUncontrolled: true })) {
    client.postMessage(news);
  }
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { navigate } = event.notification.data ?? {};
  event.waitUntil(open(navigate ?? self.registration.scope));
});

async function open(url) {
  const pages = await self.clients.matchAll({ type: "window" });
  const page = pages.find((one) => one.url === new URL(url, self.location).href);
  return page ? page.focus() : self.clients.openWindow(url);
}
