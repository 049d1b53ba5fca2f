using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Grpc.Core;
using Microsoft.AspNetCore.Authentication;

namespace Cluster.Dashboard.Access;

/// <summary>
/// Tells who runs the cluster of what was refused because a page of another origin asked for it: the audit, by the visitor's own token,
/// where one is signed in; this dashboard's log where nobody is.
/// </summary>
internal sealed partial class Forgeries(SchedulerConnection schedulers, TimeProvider time, ILogger<Forgeries> logger)
{
    private const int LongestText = 200;

    // Such a page asks as often as it can; the log is not to grow with it.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private DateTimeOffset _silentUntil;
    private int _unsaid;

    public async Task NoteAsync(HttpContext context)
    {
        var forgery = new NoteForgeryRequest
        {
            Request = OneLine($"{context.Request.Method} {context.Request.Path}"),
            Origin = OneLine($"{context.Request.Headers.Origin}"),
            Visitor = $"{context.Connection.RemoteIpAddress}",
        };
        var visitor = await context.AuthenticateAsync();
        try
        {
            if (visitor.Principal is { } signedIn)
            {
                await schedulers.Audit.NoteForgeryAsync(
                    forgery, SchedulerConnection.Call(Caller.TokenOf(signedIn), context.RequestAborted));
            }
            else
            {
                Log(forgery, "nobody is signed in");
            }
        }
        catch (RpcException fault)
        {
            Log(forgery, $"the audit could not be told: {CallFault.Explain(fault)}");
        }
    }

    private void Log(NoteForgeryRequest forgery, string why)
    {
        int unsaid;
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (now < _silentUntil)
            {
                _unsaid++;
                return;
            }

            _silentUntil = now + Interval;
            (unsaid, _unsaid) = (_unsaid, 0);
        }

        LogForgery(forgery.Request, forgery.Origin, forgery.Visitor, why, unsaid);
    }

    /// <summary>Of what a stranger sent: short, and without what could fake a line.</summary>
    private static string OneLine(string text) => string.Concat(text.Take(LongestText)
        .Select(character => char.IsControl(character) || char.IsSurrogate(character) ? ' ' : character));

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Refused {Request}, which a page of {Origin} asked for from {Visitor} ({Why}; {Unsaid} more since the last such line)")]
    private partial void LogForgery(string request, string origin, string visitor, string why, int unsaid);
}
