using System.Diagnostics.Metrics;
using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Worker.Parallel;
using Cluster.Worker.Telemetry;

namespace Cluster.Worker.Training;

/// <summary>
/// Tells the scheduler and the telemetry how a run is doing. Series and progress come from rank 0, whose figures are the job's; of its own
/// a rank tells what its steps spend their time on.
/// </summary>
internal sealed class StepReport(TrainerReporter reporter, RankTimes rankTimes, TrainingPlan plan, Hyperparameters hyperparameters)
{
    /// <summary>Weight of the newest step in the shown rate: about the last twenty count.</summary>
    private const double RateSmoothing = 0.1;

    private static readonly Histogram<double> StepDuration = WorkerTelemetry.TrainerMeter.CreateHistogram<double>(
        "training.step.duration", "s", "Time of one optimizer step on this rank, from asking for the batch to the updated parameters.",
        advice: WorkerTelemetry.StepTimes);

    private static readonly Counter<long> Samples = WorkerTelemetry.TrainerMeter.CreateCounter<long>(
        "training.samples", "{sample}", "Samples trained on, counted by rank 0 for the whole job.");

    private static readonly Histogram<double> SnapshotDuration = WorkerTelemetry.TrainerMeter.CreateHistogram<double>(
        "training.checkpoint.snapshot.duration", "s", "Time for which this rank's training stands still while its part of a checkpoint is "
            + "copied; it is stored while training goes on.");

    private readonly Progress _progress = new() { Epochs = plan.Epochs, Steps = plan.TotalSteps };
    private readonly bool _reportsSeries = rankTimes.Rank == 0;
    private readonly int _globalBatchSize = hyperparameters.GlobalBatchSize;
    private double _secondsPerStep;

    public void Started(RunEnvironment environment)
    {
        if (_reportsSeries)
            reporter.Environment(environment);
        // So that there is a series which a count raises.
        WorkerTelemetry.LossNotFinite.Add(0);
        reporter.Started();
    }

    /// <param name="step">From 0; series carry the number of steps done.</param>
    /// <param name="outcome">Loss, correct predictions and times.</param>
    /// <param name="learningRate">That the step was made with.</param>
    /// <param name="gradientNorm">Before clipping.</param>
    /// <param name="times">Times that the partition does not know.</param>
    public void Step(long step, StepOutcome outcome, double learningRate, double gradientNorm, LoopTimes times)
    {
        StepDuration.Record(times.Whole.TotalSeconds);
        var (done, epoch) = (step + 1, plan.EpochOf(step) + 1);
        double[] parts =
        [
            times.DataWait.TotalSeconds, outcome.Times.Forward.TotalSeconds, outcome.Times.Backward.TotalSeconds,
            outcome.Times.Communication.TotalSeconds, times.Optimizer.TotalSeconds,
        ];
        foreach (var (name, mean) in rankTimes.Add(parts))
            Series(name, mean);
        if (!_reportsSeries)
            return;

        Samples.Add(_globalBatchSize);
        var seconds = times.Whole.TotalSeconds;
        _secondsPerStep = _secondsPerStep == 0 ? seconds : _secondsPerStep + (RateSmoothing * (seconds - _secondsPerStep));
        var accuracy = (double)outcome.Correct / _globalBatchSize;
        Series(MetricNames.TrainLoss, outcome.Loss);
        Series(MetricNames.TrainAccuracy, accuracy);
        Series(MetricNames.TrainLearningRate, learningRate);
        if (hyperparameters.ClipNorm > 0)
            Series(MetricNames.TrainGradientNorm, gradientNorm);
        Series(MetricNames.TrainSamplesPerSecond, _globalBatchSize / _secondsPerStep);
        foreach (var (name, value) in MetricNames.StepParts.Zip(parts))
            Series(name, value);

        _progress.Step = done;
        _progress.Epoch = epoch;
        _progress.TrainLoss = outcome.Loss;
        _progress.TrainAccuracy = accuracy;
        _progress.SamplesPerSecond = _globalBatchSize / _secondsPerStep;
        reporter.Progress(_progress.Clone());

        void Series(string name, double value) => reporter.Metric(name, done, epoch, value);
    }

    /// <summary>This rank's part of a checkpoint has been copied.</summary>
    /// <param name="stepsDone">Optimizer steps so far.</param>
    /// <param name="duration">That it took.</param>
    /// <param name="isNew">Whether it is the first of this step.</param>
    public void SnapshotTaken(long stepsDone, TimeSpan duration, bool isNew)
    {
        SnapshotDuration.Record(duration.TotalSeconds);
        if (_reportsSeries && isNew)
            reporter.Metric(
                MetricNames.StepCheckpointSeconds, stepsDone, plan.EpochOf(stepsDone - 1) + 1, duration.TotalSeconds);
    }

    /// <summary>Ranks that are slow for long, or that none is any more.</summary>
    public void Paces(RankPaces paces) => reporter.Paces(paces);

    /// <param name="stepsDone">Optimizer steps so far.</param>
    /// <param name="epoch">From 0; people and series count from 1.</param>
    /// <param name="bytes">Of the rank that needed most.</param>
    public void PeakMemory(long stepsDone, int epoch, long bytes)
    {
        if (_reportsSeries)
            reporter.Metric(MetricNames.MemoryPeakBytes, stepsDone, epoch + 1, bytes);
    }

    /// <param name="stepsDone">Optimizer steps before it.</param>
    /// <param name="epoch">From 0, whose training has ended.</param>
    /// <param name="count">In its training samples.</param>
    public void BrokenImages(long stepsDone, int epoch, long count)
    {
        if (_reportsSeries)
            reporter.Metric(MetricNames.DataBrokenImages, stepsDone, epoch + 1, count);
    }

    /// <param name="stepsDone">Optimizer steps before it.</param>
    /// <param name="epoch">From 0; people and series count from 1.</param>
    /// <param name="result">Over the whole part.</param>
    public void Validated(long stepsDone, int epoch, Evaluation result)
    {
        if (!_reportsSeries)
            return;
        epoch++;
        reporter.Metric(MetricNames.ValidationLoss, stepsDone, epoch, result.Loss);
        reporter.Metric(MetricNames.ValidationAccuracy, stepsDone, epoch, result.Accuracy);
        _progress.ValidationLoss = result.Loss;
        _progress.ValidationAccuracy = result.Accuracy;
        reporter.Progress(_progress.Clone());
    }

    /// <inheritdoc cref="Validated"/>
    public void Tested(long stepsDone, int epoch, Evaluation result)
    {
        if (!_reportsSeries)
            return;
        epoch++;
        reporter.Metric(MetricNames.TestLoss, stepsDone, epoch, result.Loss);
        reporter.Metric(MetricNames.TestAccuracy, stepsDone, epoch, result.Accuracy);
        (_progress.Step, _progress.Epoch) = (stepsDone, epoch);
        _progress.TestLoss = result.Loss;
        _progress.TestAccuracy = result.Accuracy;
        reporter.Progress(_progress.Clone());
    }
}

/// <summary>Times of one step outside the partition, and of the whole step.</summary>
internal readonly record struct LoopTimes(TimeSpan DataWait, TimeSpan Optimizer, TimeSpan Whole);

/// <summary>Means over a part of the data. Loss in nats, accuracy as a fraction.</summary>
internal readonly record struct Evaluation(double Loss, double Accuracy);
