// A page's live data, over a WebSocket: browsers allow hundreds of these to one server, but only six open requests, over all tabs together.
// The server sends everything anew on each connection, so a reconnect starts from nothing.
const connection = document.getElementById('connection');

const firstPause = 500;
const longestPause = 10_000;

// The server's reason to close for good: it is shown, and asking again would change nothing.
const refused = 4404;

// A tab in the background keeps its stream for so long, in case it is looked at again.
const unseen = 60_000;

/** Opens the stream; `handlers` maps an event's name to what takes its data. Returns the way to close it. */
export function openStream(address, onOpen, handlers) {
  let socket = null;
  let timer = 0;
  let pause = firstPause;

  function open() {
    let hasOpened = false;
    socket = new WebSocket(new URL(address, document.baseURI.replace(/^http/, 'ws')));
    socket.onopen = () => { hasOpened = true; pause = firstPause; connection.textContent = 'live'; onOpen(); };
    socket.onmessage = message => {
      const { event, data } = JSON.parse(message.data);
      // Nothing more will come.
      if (event === 'end') end();
      else handlers[event]?.(data);
    };
    socket.onclose = async closed => {
      socket = null;
      if (closed.code === refused) {
        end();
        connection.textContent = closed.reason;
        return;
      }
      connection.textContent = 'reconnecting …';
      timer = setTimeout(open, pause);
      pause = Math.min(2 * pause, longestPause);
      // Why a connection was refused is not told; the one thing that trying again does not mend is a session that is over.
      if (!hasOpened && (await fetch('api/session').catch(() => null))?.status === 401) location.reload();
    };
  }

  function close() {
    clearTimeout(timer);
    if (socket) {
      socket.onclose = socket.onmessage = null;
      socket.close();
      socket = null;
    }
    connection.textContent = '';
  }

  // Nobody sees a tab in the background, and there may be more tabs than a browser allows WebSockets.
  function attend() {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(close, unseen);
    else if (!socket) open();
  }

  function end() {
    document.removeEventListener('visibilitychange', attend);
    close();
  }

  document.addEventListener('visibilitychange', attend);
  open();
  return end;
}
