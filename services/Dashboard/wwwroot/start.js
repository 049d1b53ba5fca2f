// Pages live over one WebSocket each: a browser allows hundreds of these to one server, but only six open requests, over all tabs
// together. And without a request before it, any replica of the dashboard may take it.
const longestPause = 10_000;

window.minutesFromUtc = () => -new Date().getTimezoneOffset();

// Fluent UI's dialogs have their role on an element of their own, which takes no name from outside.
window.nameDialog = (id, name) => {
  const host = document.getElementById(id);
  for (const named of [host, host?.shadowRoot.querySelector('dialog')]) if (named) named.ariaLabel = name;
};

// The router would take the link past the menu for another page.
document.addEventListener('click', event => {
  if (!event.target.matches?.('.skip')) return;
  event.preventDefault();
  event.stopPropagation();
  document.getElementById('main').focus();
}, true);

// A dashboard that has begun anew does not know the page any more; it is fetched again, to the same address.
document.getElementById('components-reconnect-modal').addEventListener('components-reconnect-state-changed', event => {
  if (['rejected', 'failed', 'resume-failed'].includes(event.detail.state)) location.reload();
});

Blazor.start({
  circuit: {
    configureSignalR: builder => builder.withUrl('_blazor', { skipNegotiation: true, transport: 1 }),
    reconnectionOptions: { maxRetries: 1_000_000, retryIntervalMilliseconds: tries => Math.min(500 * (tries + 1), longestPause) },
  },
});
