using Cluster.Contracts;
using Grpc.Core;

namespace Cluster.Worker.Agent;

internal sealed partial class LocalAttempt
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Job {JobId} attempt {Attempt}: stopping within {Grace}: {Reason}")]
    private partial void LogStop(JobId jobId, int attempt, string reason, TimeSpan grace);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "Job {JobId} attempt {Attempt} rank {Rank}: process {ProcessId} ended, {End}. {Reason}")]
    private partial void LogExit(JobId jobId, int attempt, int rank, int processId, ProcessEnd end, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} attempt {Attempt} rank {Rank}: report {Sequence} refused, {Status}")]
    private partial void LogReportRefused(JobId jobId, int attempt, int rank, long sequence, Status status);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} attempt {Attempt} rank {Rank}: the scheduler refused its exit, {Status}")]
    private partial void LogExitRefused(JobId jobId, int attempt, int rank, Status status);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Job {JobId} attempt {Attempt} rank {Rank}: the agent ended before its exit could be reported")]
    private partial void LogExitUnsent(JobId jobId, int attempt, int rank);

    [LoggerMessage(Level = LogLevel.Error, Message = "Job {JobId} attempt {Attempt}: {Lines} lines of log refused, {Status}")]
    private partial void LogLinesRefused(JobId jobId, int attempt, int lines, Status status);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Job {JobId} attempt {Attempt} rank {Rank}: {Lines} of its last lines of log are still on their way "
            + "(Agent:LastLinesPatience); its exit is reported before them")]
    private partial void LogLinesLate(JobId jobId, int attempt, int rank, int lines);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Job {JobId} attempt {Attempt}: the agent ended before the scheduler had the last {Lines} lines of log; they are lost")]
    private partial void LogLinesUnsent(JobId jobId, int attempt, int lines);
}
