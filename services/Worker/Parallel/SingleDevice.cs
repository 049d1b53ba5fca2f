using Cluster.Models;
using TorchSharp;

namespace Cluster.Worker.Parallel;

/// <summary>The whole network and every batch on one device: what the other partitions must equal.</summary>
public sealed class SingleDevice : ITrainingPartition
{
    private readonly ImageClassifier _network;
    private readonly SummedLoss _loss;
    private readonly MasterWeights _masters;
    private readonly FlatGradients? _gradients; // null where they are wherever backward leaves them

    /// <param name="network">The whole.</param>
    /// <param name="loss">Of all samples.</param>
    /// <param name="inBFloat16">Whether it computes in bfloat16, with its float32 parameters as masters.</param>
    /// <param name="flatGradients">
    /// Whether gradients lie in one tensor: by default on a GPU, where norm and update of many tensors are as many launches, and not on a
    /// CPU, where backward would pass over memory once more to get them there.
    /// </param>
    public SingleDevice(ImageClassifier network, SummedLoss loss, bool inBFloat16 = false, bool? flatGradients = null)
    {
        (_network, _loss) = (network, loss);
        _masters = inBFloat16 ? MasterWeights.Narrow(network) : MasterWeights.None;
        Parameters = _masters.Of(LocalParameters.Of(network, isOwner: true));
        if (flatGradients ?? Parameters[0].Tensor.device_type == DeviceType.CUDA)
        {
            var layout = new FlatLayout(Parameters);
            _gradients = new FlatGradients(layout, layout.Zeros());
        }
    }

    public ImageClassifier Network => _network;

    public IReadOnlyList<LocalParameter> Parameters { get; }

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> LocalGradient =>
        _gradients is null ? Parameters.Select(parameter => parameter.Gradient) : [_gradients.Flat];

    /// <inheritdoc/>
    public IEnumerable<torch.Tensor> GradientShare => LocalGradient;

    FlatGradients? ITrainingPartition.FlatGradients => _gradients;

    public SampleRange LocalSamples(int globalBatchSize) => new(0, globalBatchSize);

    public StepShare ForwardBackward(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        ClearGradients();
        _masters.Publish();
        var totals = new PassTotals();
        foreach (var (part, samples) in Accumulation.Passes(batch, LocalSamples(batch.GlobalBatchSize)))
        {
            using var passScope = torch.NewDisposeScope();
            var pass = LocalPass.Forward(_network, part, samples, _loss);
            totals.EndForward();
            pass.Backward(batch.GlobalBatchSize);
            _masters.TakeGradients();
            totals.EndBackward(pass);
        }

        return new StepShare(totals.LossSum, totals.Correct, new StepTimes(totals.Forward, totals.Backward, TimeSpan.Zero));
    }

    public EvaluationOutcome Evaluate(TrainingBatch batch)
    {
        using var scope = torch.NewDisposeScope();
        using var guard = torch.no_grad();
        _masters.Publish();
        var (lossSum, correct) = LocalPass.Forward(_network, batch, LocalSamples(batch.GlobalBatchSize), _loss).Read();
        return new EvaluationOutcome(lossSum, correct);
    }

    public void Dispose()
    {
        _gradients?.Dispose();
        _network.Dispose();
        _masters.Dispose();
    }

    private void ClearGradients()
    {
        if (_gradients is not null)
        {
            _gradients.Clear();
            return;
        }

        _network.zero_grad();
        _masters.DropGradients();
    }
}
