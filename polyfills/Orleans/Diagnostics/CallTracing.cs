using System.Diagnostics;
using Orleans.Diagnostics;

namespace Orleans.Runtime;

/// <summary>
/// Spans of grain calls, by OpenTelemetry's RPC conventions. The trace context travels in the <see cref="RequestContext"/>, and so reaches
/// the callee only where somebody listens to the client span's source.
/// </summary>
internal static class CallTracing
{
    public static async Task<TResult> CallAsync<TResult>(GrainMethod<TResult> method, Silo silo, GrainTarget target, object?[] arguments)
    {
        using var span = ActivitySources.ApplicationGrainSource.StartActivity(method.Name, ActivityKind.Client);
        if (span is null)
            return await GrainRequest<TResult>.Send(silo, target, method, arguments);
        Describe(span, method, target.Id, RuntimeContext.Current?.GrainId);
        DistributedContextPropagator.Current.Inject(span, null, static (_, key, value) => RequestContext.Set(key, value));
        try
        {
            return await GrainRequest<TResult>.Send(silo, target, method, arguments);
        }
        catch (Exception exception)
        {
            MarkFailed(span, exception);
            throw;
        }
    }

    /// <summary>Call inside the request's turn: the span becomes <see cref="Activity.Current"/> there.</summary>
    public static Activity? StartServerSpan(GrainMethod method, GrainId target, GrainId? source)
    {
        var propagator = DistributedContextPropagator.Current;
        propagator.ExtractTraceIdAndState(null, Read, out var parent, out var state);
        var span = ActivityContext.TryParse(parent, state, isRemote: true, out var parentContext)
            ? ActivitySources.ApplicationGrainSource.StartActivity(method.Name, ActivityKind.Server, parentContext)
            : ActivitySources.ApplicationGrainSource.StartActivity(method.Name, ActivityKind.Server);
        if (span is null)
            return null;
        foreach (var (key, value) in propagator.ExtractBaggage(null, Read) ?? [])
            span.AddBaggage(key, value);
        Describe(span, method, target, source);
        return span;
    }

    public static void MarkFailed(Activity? span, Exception exception)
    {
        if (span is not { IsAllDataRequested: true })
            return;
        span.SetStatus(ActivityStatusCode.Error);
        span.SetTag("exception.type", exception.GetType().FullName);
        span.SetTag("exception.message", exception.Message);
        span.SetTag("exception.stacktrace", exception.ToString());
        span.SetTag("exception.escaped", true);
    }

    private static void Describe(Activity span, GrainMethod method, GrainId target, GrainId? source)
    {
        span.SetTag("rpc.system", "orleans");
        span.SetTag("rpc.service", method.Method.DeclaringType!.FullName);
        span.SetTag("rpc.method", method.Name);
        if (!span.IsAllDataRequested)
            return;
        span.SetTag("rpc.orleans.target_id", target.ToString());
        if (source is { } id)
            span.SetTag("rpc.orleans.source_id", id.ToString());
    }

    private static void Read(object? carrier, string key, out string? value, out IEnumerable<string>? values)
    {
        value = RequestContext.Get(key) as string;
        values = null;
    }
}
