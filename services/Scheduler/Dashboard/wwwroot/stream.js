// Server-sent events. The server sends everything anew on each connection, so a reconnect starts from nothing.
const connection = document.getElementById('connection');

/** Opens the stream; `handlers` maps an event's name to what takes its parsed data. Returns the way to close it. */
export function openStream(address, onOpen, handlers) {
  const source = new EventSource(address);
  source.onopen = () => { connection.textContent = 'live'; onOpen(); };
  source.onerror = () => { connection.textContent = source.readyState === EventSource.CLOSED ? 'offline' : 'reconnecting …'; };
  // Nothing more will come; an EventSource would ask again and again.
  source.addEventListener('end', () => { source.close(); connection.textContent = ''; });
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, event => handle(JSON.parse(event.data)));
  }
  return () => { source.close(); connection.textContent = ''; };
}
