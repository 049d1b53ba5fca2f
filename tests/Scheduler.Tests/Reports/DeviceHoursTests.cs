using Cluster.Contracts.V1;
using Cluster.Scheduler.Reports;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Workspaces;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Reports;

public sealed class DeviceHoursTests(PostgresServer postgres)
{
    // Each end of a span is a double of its own.
    private const double Rounding = 1e-9;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hours_AreToldByOwnerQueueAndState_WithWhatWasLostAndWhatStoodIdle_WithinTheRange()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var begun = cluster.Time.GetUtcNow();
        var node = await cluster.AddNodeAsync(devices: 2);
        await TestQueues.CreateAsync(cluster, "product", quota: 1);
        var (failing, going) = (await cluster.SubmitAsync(AJob().WithRestarts(0)), await cluster.SubmitAsync(AJob().In("product")));
        foreach (var job in new[] { failing, going })
            await cluster.RunAsync(job);
        cluster.Time.Advance(TimeSpan.FromSeconds(2));
        await node.ExitAsync(failing, 1, 0, exitCode: 1);
        (await cluster.GetAsync(failing)).State.ShouldBe(JobState.Failed);

        var report = cluster.Get<DeviceHoursReport>();
        var whole = await report.ReadAsync(begun.AddHours(-1), begun.AddSeconds(4), Visibility.All, Token);
        var middle = await report.ReadAsync(begun.AddSeconds(1), begun.AddSeconds(3), Visibility.All, Token);
        var later = await report.ReadAsync(begun.AddSeconds(3), begun.AddSeconds(4), Visibility.All, Token);

        Expect(whole, [("product", JobState.Running, 4, 0), ("default", JobState.Failed, 2, 2)], capacity: 8, idle: 2);
        Expect(middle, [("product", JobState.Running, 2, 0), ("default", JobState.Failed, 1, 1)], capacity: 4, idle: 1);
        Expect(later, [("product", JobState.Running, 1, 0)], capacity: 2, idle: 1);
    }

    /// <summary>By seconds.</summary>
    private static void Expect(
        GetDeviceHoursResponse report, (string Queue, JobState State, double Used, double Lost)[] rows, double capacity, double idle)
    {
        report.Rows.Select(row => (row.Owner, row.Queue, row.State, row.Kind, row.Jobs))
            .ShouldBe(rows.Select(row => ("alice", row.Queue, row.State, DeviceKind.Cpu, 1)));
        foreach (var (row, expected) in report.Rows.Zip(rows))
        {
            (row.UsedHours * 3600).ShouldBe(expected.Used, Rounding);
            (row.LostHours * 3600).ShouldBe(expected.Lost, Rounding);
        }

        var cpu = report.Capacity.ShouldHaveSingleItem();
        (cpu.Hours * 3600).ShouldBe(capacity, Rounding);
        (cpu.IdleHours * 3600).ShouldBe(idle, Rounding);
    }
}
