using Cluster.Contracts.V1;
using Cluster.Dashboard.Queues;
using Cluster.Dashboard.Tests.Fixtures;

namespace Cluster.Dashboard.Tests.Queues;

public sealed class QueueTreeTests
{
    private static readonly IReadOnlyList<Node> Nodes = [Some.GpuNode("gpu-1", gpus: 8)];

    [Fact]
    public void Queue_StandsUnderItsParent_AndHasWhatLiesInIt()
    {
        var lines = QueueTree.Of(
            [
                Some.Queue("product", nominal: 4, used: 1),
                Some.Queue("vision", parent: "research", used: 3),
                Some.Queue("research", nominal: 4, used: 2, borrowingLimit: 2),
            ],
            Nodes);

        lines.Select(line => (line.Depth, line.Name)).ShouldBe([(0, "product"), (0, "research"), (1, "vision")]);
        lines[1].Uses.ShouldBe([new QueueUse(DeviceKind.Cuda, Used: 5, Nominal: 4, MayHave: 6, OfCluster: 8, Past: 0)]);
        lines.Select(line => line.Uses[0].Borrowed).ShouldBe([0, 1, 3]);
    }

    [Fact]
    public void Queue_WhoseParentIsNotThere_IsShown_AndOneThatSaysNothingOfAKindLeavesItOut()
    {
        var lines = QueueTree.Of([Some.Queue("lost", parent: "gone", past: 0.5), Some.Queue("default")], Nodes);

        lines.Select(line => (line.Depth, line.Name)).ShouldBe([(0, "default"), (0, "lost")]);
        lines[0].Uses.ShouldBeEmpty();
        lines[1].Uses.Single().Past.ShouldBe(0.5);
    }
}
