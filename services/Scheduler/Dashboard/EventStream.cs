using System.Net.ServerSentEvents;
using System.Net.WebSockets;
using System.Text;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Experiments;
using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Dashboard;

/// <summary>Events as they come: over a WebSocket to who asks for one, as the pages do, and as server-sent events to others.</summary>
/// <remarks>
/// A browser has six HTTP/1.1 connections to a host, over all of its tabs, and a stream of server-sent events holds one of them for as long
/// as its page is open: with the seventh tab the browser would ask for nothing any more. Its WebSockets are apart from them and count in
/// hundreds.
/// </remarks>
/// <param name="open">Finds what is asked for, or throws that there is no such thing.</param>
internal sealed class EventStream(Func<CancellationToken, Task<IAsyncEnumerable<SseItem<string>>>> open) : IResult
{
    // Of the range that is for applications; the pages know it by its likeness to HTTP's.
    private const WebSocketCloseStatus NoSuchThing = (WebSocketCloseStatus)4404;

    // A reason to close has 123 bytes at most.
    private const int LongestReason = 120;

    private static readonly TimeSpan LongestClose = TimeSpan.FromSeconds(5);

    // A browser that has vanished without a word is noticed after these two.
    private static readonly WebSocketAcceptContext Accepting =
        new() { KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(15) };

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        if (!httpContext.WebSockets.IsWebSocketRequest)
            await (await RespondAsync(httpContext)).ExecuteAsync(httpContext);
        else if (IsFromElsewhere(httpContext.Request, out var refusal))
            await Results.Problem(refusal, statusCode: StatusCodes.Status403Forbidden).ExecuteAsync(httpContext);
        else
            await ConverseAsync(httpContext);
    }

    private async Task<IResult> RespondAsync(HttpContext httpContext)
    {
        try
        {
            return TypedResults.ServerSentEvents(await open(httpContext.RequestAborted));
        }
        catch (Exception fault) when (IsNotFound(fault))
        {
            return Results.Problem(fault.Message, statusCode: StatusCodes.Status404NotFound);
        }
    }

    private async Task ConverseAsync(HttpContext httpContext)
    {
        using var socket = await httpContext.WebSockets.AcceptWebSocketAsync(Accepting);
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(httpContext.RequestAborted);
        var listening = ListenAsync(socket, gone);
        try
        {
            var (status, reason) = await SendAllAsync(socket, gone.Token);
            await socket.CloseOutputAsync(status, reason, gone.Token);
            // Until the page has said so too: it would lose what is on its way to it.
            gone.CancelAfter(LongestClose);
            await listening;
        }
        catch (Exception fault) when (gone.IsCancellationRequested && fault is OperationCanceledException or WebSocketException)
        {
            // The page was left.
        }
        finally
        {
            await gone.CancelAsync();
            await listening;
        }
    }

    private async Task<(WebSocketCloseStatus Status, string? Reason)> SendAllAsync(WebSocket socket, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var item in await open(cancellationToken))
                await socket.SendAsync(Message(item), WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
            return (WebSocketCloseStatus.NormalClosure, null);
        }
        catch (Exception fault) when (IsNotFound(fault))
        {
            return (NoSuchThing, fault.Message[..Math.Min(fault.Message.Length, LongestReason)]);
        }
    }

    /// <summary>A page sends nothing but its leave.</summary>
    private static async Task ListenAsync(WebSocket socket, CancellationTokenSource gone)
    {
        var ignored = new byte[128];
        try
        {
            while ((await socket.ReceiveAsync(ignored, gone.Token)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (Exception fault) when (fault is OperationCanceledException or WebSocketException)
        {
            // It left without one, or the stream has come to its end.
        }

        await gone.CancelAsync();
    }

    /// <summary>
    /// A page of the same machine on another port would send the session's cookie along, and no browser keeps it from opening a WebSocket
    /// here.
    /// </summary>
    private static bool IsFromElsewhere(HttpRequest request, out string refusal)
    {
        var origin = request.Headers.Origin.ToString();
        var isOwn = origin.Length == 0
            || (Uri.TryCreate(origin, UriKind.Absolute, out var page)
                && page.Authority.Equals(request.Host.Value, StringComparison.OrdinalIgnoreCase));
        refusal = isOwn
            ? ""
            : $"origin is {origin} but this is {request.Host}; open the dashboard there, or let the proxy pass the Host header on";
        return !isOwn;
    }

    private static bool IsNotFound(Exception fault) =>
        fault is JobNotFoundException or ExperimentNotFoundException or InvalidRequestException;

    // The data are JSON already.
    private static byte[] Message(SseItem<string> item) =>
        Encoding.UTF8.GetBytes($$"""{"event":"{{item.EventType}}","data":{{item.Data}}}""");
}
