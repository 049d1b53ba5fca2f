using Cluster.Contracts;
using Grpc.Core;

namespace Cluster.Worker.Agent;

internal sealed partial class RankFollower
{
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

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Job {JobId} attempt {Attempt} rank {Rank}: {Lines} of its last lines of log are still on their way "
            + "(Agent:LastLinesPatience); its exit is reported before them")]
    private partial void LogLinesLate(JobId jobId, int attempt, int rank, int lines);
}
