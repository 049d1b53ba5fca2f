using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Fixtures;

/// <summary>The one trainer of a job, and the agent it runs under, as far as the scheduler hears of them.</summary>
public sealed class TestTrainer(TestScheduler scheduler, RegisterRequest node, string job, int attempt, string secret)
{
    private long _reports;
    private long _lines = 1;

    public string Job => job;

    public int Attempt => attempt;

    public string Secret => secret;

    public AttemptService.AttemptServiceClient Client(string? otherSecret = null) =>
        new(new WithMetadata(scheduler.As(otherSecret ?? secret), new Metadata
        {
            { CallMetadata.Job, job }, { CallMetadata.Attempt, $"{attempt}" }, { CallMetadata.Rank, "0" },
        }));

    public async Task ReportAsync(ReportRequest report)
    {
        report.Sequence = ++_reports;
        await Client().ReportAsync(report);
    }

    public Task ReportAsync(params MetricPoint[] points) => ReportAsync(new ReportRequest { Points = { points } });

    public async Task LogAsync(params string[] lines)
    {
        await scheduler.Registry().AppendLogsAsync(new AppendLogsRequest
        {
            NodeId = node.NodeId,
            JobId = job,
            Attempt = attempt,
            AgentSequence = _lines,
            Lines = { lines.Select(text => new LogLine { Attempt = attempt, Stream = LogStream.Stdout, Text = text }) },
        });
        _lines += lines.Length;
    }

    /// <summary>It dies, and the job goes on with another.</summary>
    public async Task<TestTrainer> RestartAsync()
    {
        await ExitAsync(exitCode: 1);
        return await scheduler.TrainAsync(node, job, attempt + 1);
    }

    /// <summary>It ends, and the agent has reaped it.</summary>
    public async Task ExitAsync(int exitCode = 0) => await scheduler.Registry().ReportExitAsync(new ReportExitRequest
    {
        NodeId = node.NodeId,
        JobId = job,
        Attempt = attempt,
        ExitCode = exitCode,
    });
}
