using Cluster.Contracts;
using Cluster.Worker.Data;
using Cluster.Worker.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.Worker.Inference;

/// <summary>Loss and accuracy of given weights over the validation and the test part.</summary>
internal sealed partial class Evaluate(TrainerContext context, InferenceSetup setup)
{
    /// <summary>The one step that figures without training are reported at: series begin with 1.</summary>
    private const int Step = 1;

    private readonly ILogger<Evaluate> _logger = context.LoggerFactory.CreateLogger<Evaluate>();

    /// <summary>False when a stop has been asked for.</summary>
    public bool Run(DataParts parts, CancellationToken cancellationToken)
    {
        // Each part ends with a batch of its own.
        var progress = new BatchProgress(context.Reporter, setup.Group.Rank == 0, parts.Test.Count, setup.GlobalBatchSize);
        progress.Figures.Steps += (parts.Validation.Count + setup.GlobalBatchSize - 1) / setup.GlobalBatchSize;
        if (parts.Validation.Count > 0)
        {
            if (Over(parts.Validation, progress, cancellationToken) is not { } validated)
                return false;
            (progress.Figures.ValidationLoss, progress.Figures.ValidationAccuracy) = (validated.Loss, validated.Accuracy);
            Report("validation", MetricNames.ValidationLoss, MetricNames.ValidationAccuracy, validated);
        }

        if (parts.Test.Count > 0)
        {
            if (Over(parts.Test, progress, cancellationToken) is not { } tested)
                return false;
            (progress.Figures.TestLoss, progress.Figures.TestAccuracy) = (tested.Loss, tested.Accuracy);
            Report("test", MetricNames.TestLoss, MetricNames.TestAccuracy, tested);
        }

        progress.Send();
        return true;
    }

    private Evaluation? Over(ImagePart part, BatchProgress progress, CancellationToken cancellationToken)
    {
        var sums = new double[2];
        return new InferencePass(setup, context.Stop, _logger).Run(part, sums, Add, progress.BatchDone, cancellationToken)
            ? new Evaluation(sums[0] / part.Count, sums[1] / part.Count)
            : null;
    }

    private static void Add(int first, Tensor logits_NK, Tensor labels_N, Memory<double> sums)
    {
        var loss = nn.functional.cross_entropy(logits_NK, labels_N, reduction: nn.Reduction.Sum);
        sums.Span[0] = loss.to(ScalarType.Float64).item<double>();
        sums.Span[1] = logits_NK.argmax(1).eq(labels_N).sum().item<long>();
    }

    private void Report(string part, string loss, string accuracy, Evaluation result)
    {
        if (setup.Group.Rank != 0)
            return;
        context.Reporter.Metric(loss, Step, epoch: 1, result.Loss);
        context.Reporter.Metric(accuracy, Step, epoch: 1, result.Accuracy);
        LogEvaluated(part, result.Loss, result.Accuracy);
    }

    [LoggerMessage(LogLevel.Information, "Over the {Part} part: loss {Loss:F4}, accuracy {Accuracy:P2}")]
    private partial void LogEvaluated(string part, double loss, double accuracy);
}
