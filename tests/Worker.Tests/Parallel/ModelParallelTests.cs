using Cluster.Models;
using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

public sealed class ModelParallelTests
{
    [Fact]
    public void Parameters_OfBothTowers_MakeUpTheUndividedNetAsItWasInitialised()
    {
        using var whole = Trainings.Single("alexnet", ScalarType.Float32);
        using var ranks = new Ranks("aa");
        var towers = ranks.Run(group =>
        {
            using var partition = Trainings.Model("alexnet", ScalarType.Float32, group);
            return partition.Parameters.Select(p => (p.Name, p.GlobalShape, p.Offset, p.IsOwner, Values: Trainings.Values(p.Tensor)))
                .ToList();
        });
        foreach (var (i, parameter) in whole.Parameters.Index())
        {
            var (first, second) = (towers[0][i], towers[1][i]);
            first.Name.ShouldBe(parameter.Name);
            second.Name.ShouldBe(parameter.Name);
            first.GlobalShape.ShouldBe(parameter.GlobalShape);
            first.Offset.ShouldAllBe(o => o == 0);
            second.Offset.ShouldBe([parameter.GlobalShape[0] / 2, .. new long[parameter.GlobalShape.Count - 1]]);
            (first.IsOwner && second.IsOwner).ShouldBeTrue();
            double[] joined = [.. first.Values, .. second.Values];
            joined.ShouldBe(Trainings.Values(parameter.Tensor), parameter.Name);
        }
    }

    [Fact]
    public void Create_WithAnotherNumberOfRanksThanTowers_SaysWhatToDo()
    {
        using var ranks = new Ranks("aaa");
        ranks.Run(group => Should.Throw<ModelOptionException>(() => Trainings.Model("alexnet", ScalarType.Float32, group)).Message)
            .ShouldAllBe(message => message == "alexnet has 2 towers and cannot be split over 3 devices; use 2");
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void ForwardBackward_WhenTheOtherTowerIsLostInBackward_ThrowsAndNamesIt(string placement)
    {
        using var ranks = new Ranks(placement);
        var failures = ranks.RunToFailure(group =>
        {
            using var scope = NewDisposeScope();
            using var partition = Trainings.Model("alexnet", ScalarType.Float32, group);
            var batch = Trainings.Batch(partition, ScalarType.Float32, step: 0);
            if (group.Rank == 0)
                partition.ForwardBackward(batch);
            else
                partition.Network.call(batch.Images); // the same exchanges forward, and then gone
        });
        var failure = failures[0].ShouldBeOfType<CollectiveException>();
        failure.Peer.ShouldBe(1);
        failure.Operation.ShouldBe("channels/gradient");
        failures[1].ShouldBeNull();
    }
}
