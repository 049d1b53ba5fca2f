using Cluster.Contracts.Tls;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Connection;
using Cluster.Dashboard.Hosting;
using Cluster.Dashboard.Jobs;
using Cluster.Dashboard.Tests.Fixtures;
using Cluster.Tests.Shared;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Tests.Jobs;

public sealed class JobBoardTests
{
    private const int Newest = 1_000;

    // Only so that what never comes fails.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>More than a page of jobs has come and gone between two rounds, and the newest of all is open.</summary>
    [Fact]
    public async Task JobsThatAreOver_AndOlderThanANewOpenOne_AreAllFound()
    {
        await using var scheduler = new FakeScheduler(FreePorts.Take());
        await scheduler.StartAsync();
        scheduler.Put(Some.Job("known", JobState.Succeeded));
        using var connection = new SchedulerConnection(
            Options.Create(new DashboardOptions { SchedulerAddress = scheduler.Address }), new CertificateFiles(new TlsOptions()));
        var board = new JobBoard(connection, FakeScheduler.Token, Newest, TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var keeping = board.KeepAsync(stop.Token);
        await UntilAsync(board, () => board.IsWhole && board.Rows.Length == 1);

        var jobs = Enumerable.Range(1, 150).Select(number => Some.Job($"gone-{number}", JobState.Succeeded, number)).ToList();
        foreach (var job in jobs.Append(Some.Job("open", JobState.Running, 1_000)))
            scheduler.Jobs[job.Id] = job;

        await UntilAsync(board, () => board.Rows.Length == 152);
        board.Rows[0].Name.ShouldBe("open");
        await stop.CancelAsync();
        await keeping;
    }

    private static async Task UntilAsync(JobBoard board, Func<bool> isSo)
    {
        using var late = new CancellationTokenSource(Patience);
        while (true)
        {
            var next = board.NextAsync();
            if (isSo())
                return;
            await next.WaitAsync(late.Token);
        }
    }
}
