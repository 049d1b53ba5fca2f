using System.Diagnostics;
using System.Diagnostics.Metrics;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Parallel;
using Cluster.Worker.Telemetry;
using static TorchSharp.torch;

namespace Cluster.Worker.Training;

/// <summary>
/// A rank's way from its position to the end of its job: epochs of steps, each closed by a validation and a checkpoint, then the test.
/// </summary>
/// <remarks>Runs on one thread of its own. All ranks pass through the same steps, evaluations and decisions in the same order.</remarks>
internal sealed partial class TrainingLoop(
    TrainingSetup setup, CheckpointWriter checkpoints, StepReport report, StepWatch watch, TrainerStop stop, TimeProvider time,
    ILogger<TrainingLoop> logger)
{
    private static readonly Counter<long> SkippedCheckpoints = WorkerTelemetry.TrainerMeter.CreateCounter<long>(
        "training.checkpoint.skipped", "{checkpoint}", "Checkpoints that were due while the one before was still being stored.");

    private readonly BatchSource _batches = new(setup);
    private readonly TrainingStep _step = new(
        setup.Spec.Hyperparameters, setup.Partition,
        new ParameterUpdate(setup.Spec.Hyperparameters, setup.Partition, setup.Optimizer, setup.Average, setup.Group), setup.Placement,
        setup.Feed, time);

    private readonly StragglerWatch _stragglers = new(setup.Spec, setup.Group, time);
    private readonly BrokenCount _broken = new(setup.Spec.Data.MaxBrokenImages, logger);
    private TrainingPosition _position = TrainingPosition.Start;
    private double? _lastAccuracy; // in validation, of the last epoch that was closed
    private long _savedAtStep = -1;
    private long _lastCopyTold; // the step of which series have the time that a copy took, or that this attempt began with
    private long _unfinishedCheckpoints; // ranks that still wrote the last one, when all told last

    /// <summary>Trains from <paramref name="start"/> until all that it is to do is done or a stop is asked for.</summary>
    /// <exception cref="JobMisconfiguredException">The loss is no longer a number.</exception>
    public TrainerOutcome Run(TrainingPosition start, CancellationToken cancellationToken)
    {
        (_position, _lastCopyTold) = (start, start.StepsDone);
        for (var epoch = start.EpochsClosed; epoch < setup.TrainUntil; epoch++)
        {
            using var span = WorkerTelemetry.Trainer.StartActivity("training.epoch");
            span?.SetTag("epoch", epoch);
            if (!TrainEpoch(epoch, cancellationToken) || !CloseEpoch(epoch, cancellationToken))
                return StopHere(cancellationToken);
        }

        if (setup.TrainUntil < setup.Plan.Epochs)
            return _position == start ? TrainerOutcome.Done : Finish(cancellationToken); // the test is for who trains to the end
        return Test(cancellationToken) ? Finish(cancellationToken) : StopHere(cancellationToken);
    }

    /// <summary>False when a stop has been asked for.</summary>
    private bool TrainEpoch(int epoch, CancellationToken cancellationToken)
    {
        var firstStep = (long)epoch * setup.Plan.StepsPerEpoch;
        var lastStep = Math.Min(firstStep + setup.Plan.StepsPerEpoch, setup.Plan.TotalSteps);
        if (_position.StepsDone >= lastStep)
            return true; // resumed between the epoch's last step and its validation

        setup.Network.train();
        using var batches = _batches.Training(epoch, firstBatch: (int)(_position.StepsDone - firstStep));
        _broken.BeginPass();
        while (_position.StepsDone < lastStep)
        {
            var stopRequested = Heed(TrainStep(batches, cancellationToken));
            if (DueBySteps && !setup.Plan.EndsEpoch(_position.StepsDone))
                SaveUnlessBusy(validationAccuracy: null);
            if (stopRequested)
                return false;
        }

        report.BrokenImages(_position.StepsDone, epoch, _broken.InPass);
        return true;
    }

    /// <returns>All ranks' news.</returns>
    private RankNews TrainStep(BatchPrefetcher batches, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var step = _position.StepsDone;
        using var span = WorkerTelemetry.Trainer.StartActivity("training.step");
        span?.SetTag("step", step);
        using var scope = NewDisposeScope();

        watch.Begin(step);
        var began = time.GetTimestamp();
        var waitedBefore = batches.TotalWait;
        if (!batches.TryTake(out var batch, cancellationToken))
            throw new InvalidOperationException($"the data ended before step {step} of {setup.Plan.TotalSteps}");
        _broken.Note(batch.Broken);
        var learningRate = setup.Schedule.At(step, _position.Plateau?.Reductions ?? 0);
        StepResult result;
        using (batch)
            result = _step.Run(
                batch, step, learningRate, News() with { PaceRequests = _stragglers.WantsLook ? 1 : 0 }, next: batches.Peek());
        _position = _position with { StepsDone = step + 1 };
        var (dataWait, times) = (batches.TotalWait - waitedBefore, result.Outcome.Times);
        _stragglers.Note(dataWait + times.Forward + times.Backward);
        if (result.News.PaceRequests > 0 && _stragglers.Look() is { } paces)
            report.Paces(paces);
        report.Step(step, result.Outcome, learningRate, result.GradientNorm,
            new LoopTimes(dataWait, result.Update, time.GetElapsedTime(began)));
        watch.End();
        return result.News;
    }

    /// <summary>
    /// Validates the epoch and keeps a checkpoint of it where the policy asks for one. False when a stop has been asked for.
    /// </summary>
    private bool CloseEpoch(int epoch, CancellationToken cancellationToken)
    {
        double? accuracy = null;
        if (setup.Data.Validation.Count > 0)
        {
            if (Evaluate("training.validation", setup.Data.Validation, cancellationToken) is not { } result)
                return false;
            accuracy = result.Accuracy;
            if (setup.Spec.Hyperparameters.Schedule is { Name: "plateau" } schedule)
                _position = _position with { Plateau = (_position.Plateau ?? Plateau.Start).After(result.Loss, schedule) };
            report.Validated(_position.StepsDone, epoch, result);
            LogEpoch(epoch + 1, setup.Plan.Epochs, _position.StepsDone, result.Loss, result.Accuracy);
        }

        NativeHeap.Trim(); // of pieces as validation and the last copy for a checkpoint took them
        ManagedHeap.Trim();
        _position = _position with { EpochsClosed = epoch + 1 };
        if (epoch + 1 < setup.Plan.Epochs)
            ReportPeakMemory(epoch); // the last epoch's includes the test
        if (DueByEpochs(epoch) || DueBySteps)
            SaveUnlessBusy(accuracy);
        _lastAccuracy = accuracy;
        return true;
    }

    /// <summary>False when a stop has been asked for.</summary>
    private bool Test(CancellationToken cancellationToken)
    {
        if (setup.Data.Test.Count > 0)
        {
            if (Evaluate("training.test", setup.Data.Test, cancellationToken) is not { } result)
                return false;
            report.Tested(_position.StepsDone, setup.Plan.Epochs - 1, result);
            LogTest(result.Loss, result.Accuracy);
        }

        ReportPeakMemory(setup.Plan.Epochs - 1);
        return true;
    }

    /// <summary>Null when a stop has been asked for.</summary>
    private Evaluation? Evaluate(string name, ImagePart part, CancellationToken cancellationToken)
    {
        using var span = WorkerTelemetry.Trainer.StartActivity(name);
        using var averaged = setup.Average?.InPlace();
        using var statistics = setup.Partition.OwnStatistics?.Average();
        setup.Network.eval();
        using var batches = _batches.Evaluation(part);
        _broken.BeginPass();
        var (lossSum, correct) = (0.0, 0L);
        while (batches.TryTake(out var batch, cancellationToken))
        {
            cancellationToken.ThrowIfCancellationRequested();
            _broken.Note(batch.Broken);
            using var scope = NewDisposeScope();
            using (batch)
            {
                var outcome = setup.Partition.Evaluate(setup.Placement.Place(batch, _position.StepsDone));
                lossSum += outcome.LossSum;
                correct += outcome.Correct;
            }

            if (Heed(News().OfAllRanks(setup.Group)))
                return null;
        }

        return new Evaluation(lossSum / part.Count, (double)correct / part.Count);
    }

    private void ReportPeakMemory(int epoch)
    {
        using var process = Process.GetCurrentProcess();
        var peaks = new long[setup.Group.WorldSize];
        setup.Group.AllGather<long>([process.PeakWorkingSet64], peaks, "peak memory");
        report.PeakMemory(_position.StepsDone, epoch, peaks.Max());
    }

    private RankNews News() => new(stop.IsRequested ? 1 : 0, _broken.TakeNew(), checkpoints.IsWriting ? 1 : 0);

    /// <returns>Whether to stop.</returns>
    private bool Heed(RankNews ofAllRanks)
    {
        _broken.Agree(ofAllRanks.BrokenPictures);
        _unfinishedCheckpoints = ofAllRanks.UnfinishedCheckpoints;
        return ofAllRanks.StopRequests > 0;
    }

    private TrainerOutcome StopHere(CancellationToken cancellationToken)
    {
        Save(validationAccuracy: null, cancellationToken);
        var reason = stop.IsRequested ? stop.Reason : "another rank was asked to";
        LogStopped(_position.StepsDone, reason);
        return TrainerOutcome.Stopped($"stopped after step {_position.StepsDone} of {setup.Plan.TotalSteps}: {reason}");
    }

    private TrainerOutcome Finish(CancellationToken cancellationToken)
    {
        Save(_lastAccuracy, cancellationToken);
        return TrainerOutcome.Done;
    }

    private bool DueByEpochs(int epoch) =>
        epoch + 1 == setup.Plan.Epochs || (setup.Spec.Checkpoints.EveryEpochs > 0 && (epoch + 1) % setup.Spec.Checkpoints.EveryEpochs == 0);

    private bool DueBySteps => setup.Spec.Checkpoints.EverySteps > 0 && _position.StepsDone % setup.Spec.Checkpoints.EverySteps == 0;

    /// <summary>
    /// Begins to store what is due, unless the one before is still on its way: a store that is slow or away must hold up nobody, and two
    /// copies of everything could be more memory than there is. All ranks go by what they last told each other, so they store alike.
    /// </summary>
    private void SaveUnlessBusy(double? validationAccuracy)
    {
        if (_savedAtStep == _position.StepsDone)
            return;
        if (_unfinishedCheckpoints > 0)
        {
            SkippedCheckpoints.Add(1);
            LogSkipped(_position.StepsDone, _savedAtStep);
            return;
        }

        using var statistics = setup.Partition.OwnStatistics?.Average();
        Begin(validationAccuracy, statistics);
    }

    /// <summary>Returns once this position is stored: where the run ends, and no rank waits for another any more.</summary>
    private void Save(double? validationAccuracy, CancellationToken cancellationToken)
    {
        using var statistics = setup.Partition.OwnStatistics?.Average(); // before this rank waits for the store and others for this rank
        var isStored = checkpoints.SettleAsync(cancellationToken).GetAwaiter().GetResult() && _savedAtStep == _position.StepsDone;
        if (isStored)
            return;
        Begin(validationAccuracy, statistics);
        checkpoints.FlushAsync(cancellationToken).GetAwaiter().GetResult();
    }

    private void Begin(double? validationAccuracy, AveragedStatistics? statistics)
    {
        _savedAtStep = _position.StepsDone;
        _unfinishedCheckpoints = 1; // until all tell otherwise
        var began = Stopwatch.GetTimestamp();
        if (TrainingCheckpoint.Take(setup, _position, validationAccuracy, statistics) is not { } snapshot)
            return;
        // Once a step, as every series: one that could not be stored is copied again where the run ends.
        report.SnapshotTaken(_position.StepsDone, Stopwatch.GetElapsedTime(began), isNew: _position.StepsDone > _lastCopyTold);
        _lastCopyTold = _position.StepsDone;
        checkpoints.Begin(snapshot);
    }

    [LoggerMessage(
        LogLevel.Information, "Epoch {Epoch} of {Epochs} done at step {Step}: validation loss {Loss:F4}, accuracy {Accuracy:P2}")]
    private partial void LogEpoch(int epoch, int epochs, long step, double loss, double accuracy);

    [LoggerMessage(LogLevel.Information, "Test loss {Loss:F4}, accuracy {Accuracy:P2}")]
    private partial void LogTest(double loss, double accuracy);

    [LoggerMessage(LogLevel.Warning,
        "The checkpoint of step {Step} is skipped, since that of step {Unfinished} is still being stored; training goes on")]
    private partial void LogSkipped(long step, long unfinished);

    [LoggerMessage(LogLevel.Information, "Stopped after step {Step}: {Reason}")]
    private partial void LogStopped(long step, string reason);
}
