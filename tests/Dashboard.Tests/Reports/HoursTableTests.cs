using Cluster.Contracts.V1;
using Cluster.Dashboard.Reports;

namespace Cluster.Dashboard.Tests.Reports;

public sealed class HoursTableTests
{
    private static readonly IReadOnlyList<DeviceHours> Rows =
    [
        Row("alice", "research", JobState.Running, DeviceKind.Cuda, 5, 0), Row("alice", "product", JobState.Failed, DeviceKind.Cuda, 2, 1),
        Row("bob", "research", JobState.Failed, DeviceKind.Cpu, 6, 3),
    ];

    [Theory]
    [InlineData("owner", "alice 7 1, bob 6 3")]
    [InlineData("queue", "research 11 3, product 2 1")]
    [InlineData("state", "failed 8 4, running 5 0")]
    [InlineData("kind", "GPU 7 1, CPU 6 3")]
    public void Rows_AreSummed_TheLargestFirst(string by, string lines) =>
        string.Join(", ", HoursTable.By(by, Rows).Select(line => $"{line.Name} {line.Used} {line.Lost}")).ShouldBe(lines);

    private static DeviceHours Row(string owner, string queue, JobState state, DeviceKind kind, double used, double lost) =>
        new() { Owner = owner, Queue = queue, State = state, Kind = kind, Jobs = 1, UsedHours = used, LostHours = lost };
}
