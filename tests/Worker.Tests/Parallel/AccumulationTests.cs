using Cluster.Worker.Collectives;
using Cluster.Worker.Parallel;
using Cluster.Worker.Tests.Collectives;
using static TorchSharp.torch;

namespace Cluster.Worker.Tests.Parallel;

/// <summary>A step in several passes is the step on the undivided batch.</summary>
public sealed class AccumulationTests
{
    /// <summary>
    /// Sums of at most 8·28² terms in another order: √(8·28²)·2⁻⁵³ ≈ 10⁻¹⁴ relative to their terms, with room for terms that cancel.
    /// </summary>
    private const double Tolerance = 1e-10;

    [Theory]
    [InlineData(2)]
    [InlineData(3)] // 2, 3 and 3 samples
    [InlineData(8)]
    public void OneDevice_InSeveralPasses_HasTheStepOfTheUndividedBatch(int passes)
    {
        using var partition = Trainings.Single("alexnet", ScalarType.Float64);
        ShouldEqual(Step(partition, passes), Undivided());
    }

    [Theory]
    [InlineData("aa")]
    [InlineData("ab")]
    public void DataParallel_InSeveralPasses_HasTheStepOfTheUndividedBatch(string placement)
    {
        using var ranks = new Ranks(placement);
        var steps = ranks.Run(group =>
        {
            using var partition = Trainings.Data("alexnet", ScalarType.Float64, group);
            var step = Step(partition, passes: 3, group);
            partition.SentDuringBackward.ShouldBeGreaterThan(0); // the last pass's
            return step;
        });
        foreach (var step in steps)
            ShouldEqual(step, Undivided());
    }

    [Fact]
    public void DataParallel_OfRanksWithDifferentShares_HasTheStepOfTheUndividedBatch()
    {
        using var ranks = new Ranks("aaa"); // 2, 3 and 3 samples
        foreach (var step in ranks.Run(group =>
        {
            using var partition = Trainings.Data("alexnet", ScalarType.Float64, group);
            return Step(partition, passes: 3, group);
        }))
        {
            ShouldEqual(step, Undivided());
        }
    }

    [Fact]
    public void ModelParallel_InSeveralPasses_HasTheStepOfTheUndividedBatch()
    {
        using var ranks = new Ranks("aa");
        var steps = ranks.Run(group =>
        {
            using var partition = Trainings.Model("alexnet", ScalarType.Float64, group);
            return Step(partition, passes: 3, group);
        });
        var expected = Undivided();
        foreach (var (name, whole) in expected.Gradients)
        {
            double[] joined = [.. steps[0].Gradients[name], .. steps[1].Gradients[name]]; // each tower has half of the rows
            ShouldEqual(joined, whole, name);
        }

        steps.ShouldAllBe(
            step => Math.Abs(step.Outcome.Loss - expected.Outcome.Loss) < Tolerance && step.Outcome.Correct == expected.Outcome.Correct);
    }

    private static (StepOutcome Outcome, Dictionary<string, double[]> Gradients) Undivided()
    {
        using var partition = Trainings.Single("alexnet", ScalarType.Float64);
        return Step(partition, passes: 1);
    }

    private static (StepOutcome Outcome, Dictionary<string, double[]> Gradients) Step(
        ITrainingPartition partition, int passes, ICollectiveGroup? group = null)
    {
        using var scope = NewDisposeScope();
        partition.Network.train();
        var outcome = Trainings.Outcome(
            partition, Trainings.Batch(partition, ScalarType.Float64, step: 5) with { AccumulationSteps = passes }, group);
        return (outcome, Trainings.Gradients(partition).ToDictionary(g => g.Name, g => g.Values));
    }

    private static void ShouldEqual((StepOutcome Outcome, Dictionary<string, double[]> Gradients) actual,
        (StepOutcome Outcome, Dictionary<string, double[]> Gradients) expected)
    {
        actual.Outcome.Loss.ShouldBe(expected.Outcome.Loss, Tolerance);
        actual.Outcome.Correct.ShouldBe(expected.Outcome.Correct);
        foreach (var (name, values) in expected.Gradients)
            ShouldEqual(actual.Gradients[name], values, name);
    }

    private static void ShouldEqual(double[] actual, double[] expected, string name)
    {
        var largest = expected.Max(Math.Abs);
        largest.ShouldBeGreaterThan(0, name);
        actual.Length.ShouldBe(expected.Length, name);
        actual.Zip(expected, (a, e) => Math.Abs(a - e)).Max().ShouldBeLessThanOrEqualTo(largest * Tolerance, name);
    }
}
