using Cluster.Contracts;
using Grpc.Core;

namespace Cluster.Worker.Agent;

internal sealed partial class LocalAttempt
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId} attempt {Attempt}: stopping within {Grace}: {Reason}")]
    private partial void LogStop(JobId jobId, int attempt, string reason, TimeSpan grace);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} attempt {Attempt}: {Lines} lines of log refused, {Status}")]
    private partial void LogLinesRefused(JobId jobId, int attempt, int lines, Status status);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Job {JobId} attempt {Attempt}: the agent ended before the scheduler had the last {Lines} lines of log; they are lost")]
    private partial void LogLinesUnsent(JobId jobId, int attempt, int lines);
}
