using System.Globalization;
using Grpc.Core;
using Grpc.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Grpc.AspNetCore.Server;

/// <summary>Deadline, status and trailers.</summary>
internal sealed partial class HttpServerCallContext
{
    private const int Http2NoError = 0x0;
    private const int Http2Cancel = 0x8;

    private readonly Lock gate = new();
    private bool bodyStarted;
    private bool ended;
    private Task writing = Task.CompletedTask;
    private Task deadlineAnswer = Task.CompletedTask;
    private Timer? deadlineTimer;
    private CancellationTokenSource? deadlineCancellation;
    private CancellationToken cancellation;
    private DateTime deadline = DateTime.MaxValue;

    public void StartDeadline()
    {
        var timeout = GrpcTimeout.Decode(HttpContext.Request.Headers[GrpcHeaders.Timeout]);
        if (timeout is not { } remaining || remaining > DateTime.MaxValue - DateTime.UtcNow)
            return;
        deadline = DateTime.UtcNow + remaining;
        deadlineCancellation = CancellationTokenSource.CreateLinkedTokenSource(HttpContext.RequestAborted);
        cancellation = deadlineCancellation.Token;
        if (remaining.TotalMilliseconds < uint.MaxValue - 1)
            deadlineTimer = new Timer(static call => ((HttpServerCallContext)call!).OnDeadline(), this, remaining, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends the call with what its handler left or threw, unless the deadline came first.</summary>
    public async Task EndAsync(Exception? failure)
    {
        bool first;
        lock (gate)
        {
            first = !ended;
            ended = true;
        }
        if (first)
        {
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);  // a handler need not await its last write
            if (failure is not null)
                StatusCore = StatusOf(failure);
            AddTrailers();
        }
        await deadlineAnswer;
        if (deadlineTimer is not null)
            await deadlineTimer.DisposeAsync();
        deadlineCancellation?.Dispose();

        var activity = HttpContext.Features.Get<IHttpActivityFeature>()?.Activity;
        activity?.SetTag("grpc.method", Method);
        activity?.SetTag("grpc.status_code", ((int)StatusCore.StatusCode).ToString(CultureInfo.InvariantCulture));
    }

    private void OnDeadline()
    {
        lock (gate)
        {
            if (ended)
                return;
            ended = true;
            StatusCore = new Status(StatusCode.DeadlineExceeded, "Deadline Exceeded");
            deadlineAnswer = Task.Run(AnswerDeadlineAsync);
        }
    }

    private async Task AnswerDeadlineAsync()
    {
        try
        {
            if (writing.IsCompleted)
            {
                AddTrailers();
                await HttpContext.Response.CompleteAsync();
                Reset(Http2NoError);  // what the client still sends is not wanted
            }
            else
            {
                Reset(Http2Cancel);  // the client does not read, so trailers would never reach it
            }
        }
        finally
        {
            await deadlineCancellation!.CancelAsync();
        }
    }

    private void Reset(int errorCode)
    {
        if (HttpContext.Features.Get<IHttpResetFeature>() is { } reset)
            reset.Reset(errorCode);
        else
            HttpContext.Abort();
    }

    private Status StatusOf(Exception failure)
    {
        if (failure is RpcException rpc)
        {
            foreach (var entry in rpc.Trailers)
                ResponseTrailers.Add(entry);
            return rpc.Status;
        }
        var detail = "Exception was thrown by handler.";
        if (settings.EnableDetailedErrors)
        {
            for (var e = failure; e is not null; e = e.InnerException)
                detail += $" {e.GetType().Name}: {e.Message}";
        }
        return new Status(StatusCode.Unknown, detail, failure);
    }

    /// <summary>Status and trailers follow the messages; without any they are the headers themselves, and the call is a single frame.</summary>
    private void AddTrailers()
    {
        var response = HttpContext.Response;
        Action<string, string> add = bodyStarted
            ? (name, value) => response.AppendTrailer(name, value)
            : (name, value) => response.Headers.Append(name, value);
        add(GrpcHeaders.Status, ((int)StatusCore.StatusCode).ToString(CultureInfo.InvariantCulture));
        if (!string.IsNullOrEmpty(StatusCore.Detail))
            add(GrpcHeaders.Message, PercentEncoding.Encode(StatusCore.Detail));
        foreach (var entry in ResponseTrailers)
            add(entry.Key, GrpcHeaders.Encode(entry));
    }
}
