using Cluster.Contracts.V1;
using Cluster.Worker.Tests.Training.Optimizers;
using Cluster.Worker.Training;

namespace Cluster.Worker.Tests.Training;

public sealed class PlateauTests(PyTorchOptimizers pyTorch) : IClassFixture<PyTorchOptimizers>
{
    [Fact]
    public void After_ReducesWhenPyTorchDoes()
    {
        var plateau = Plateau.Start;
        var rates = new List<double>();
        foreach (var loss in PyTorchOptimizers.ValidationLosses)
        {
            plateau = plateau.After(loss, PyTorchOptimizers.PlateauSchedule);
            rates.Add(Math.Pow(PyTorchOptimizers.PlateauSchedule.Gamma, plateau.Reductions));
        }

        rates.ShouldBe(pyTorch.PlateauRates);
        rates.Distinct().Count().ShouldBeGreaterThan(3); // it was put to the test
    }

    [Theory]
    [InlineData(0.1 + 0.2)]
    [InlineData(double.PositiveInfinity)]
    public void Position_WithAPlateau_ReadsBackBitForBit(double bestLoss)
    {
        var position = new TrainingPosition(12, 3, new Plateau(bestLoss, 2, 1));

        TrainingPosition.FromJson(position.ToJson()).ShouldBe(position);
    }

    [Fact]
    public void After_ALossThatIsNoNumber_IsNotBetter() =>
        Plateau.Start.After(double.NaN, new ScheduleSpec { PatienceEpochs = 0 }).ShouldBe(new Plateau(double.PositiveInfinity, 0, 1));
}
