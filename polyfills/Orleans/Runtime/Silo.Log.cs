using Microsoft.Extensions.Logging;

namespace Orleans.Runtime;

internal sealed partial class Silo
{
    public void LogTimedOut(TimeSpan timeout, string method, GrainId grainId, GrainId? caller, string state) =>
        LogTimedOut(Logger, timeout, method, grainId, caller, state);

    public void LogOneWayFailed(Exception exception, string method, GrainId grainId) => LogOneWayFailed(Logger, exception, method, grainId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Method} on {GrainId}, called by {Caller}, was not answered in {Timeout}: {State}.")]
    private static partial void LogTimedOut(ILogger logger, TimeSpan timeout, string method, GrainId grainId, GrainId? caller, string state);

    [LoggerMessage(Level = LogLevel.Warning, Message = "One-way call {Method} on {GrainId} failed.")]
    private static partial void LogOneWayFailed(ILogger logger, Exception exception, string method, GrainId grainId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Grain {GrainId} did not end in the time that the host allows for its shutdown.")]
    private static partial void LogAbandoned(ILogger logger, GrainId grainId);
}
