// The service worker of Pathline's web push. In the worker of the site: importScripts("https://COLLECTOR/webpush.js")
self.addEventListener("push", (event) => {
  if (!event.data) return;
  const told = event.data.json();
  const actions = (told.actions || []).map((action, place) => ({ action: String(place), title: action.title }));
  const shown = self.registration.showNotification(told.title || told.body, {
    body: told.title ? told.body : undefined,
    icon: told.icon,
    image: told.image,
    badge: told.badge,
    tag: told.tag || told.send_id,
    actions,
    data: told,
  });
  const arrived = told.delivered ? fetch(told.delivered, { mode: "no-cors" }).catch(() => {}) : undefined;
  event.waitUntil(Promise.all([shown, arrived]));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const told = event.notification.data || {};
  const pressed = event.action ? (told.actions || [])[Number(event.action)] : told;
  if (pressed && pressed.url) event.waitUntil(self.clients.openWindow(pressed.url));
});
