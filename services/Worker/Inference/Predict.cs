using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Data;
using Cluster.Worker.Training;
using Google.Protobuf;
using static TorchSharp.torch;

namespace Cluster.Worker.Inference;

/// <summary>
/// Writes for each sample of a part what the network takes it for, as an artifact of the run that every rank stores its share of.
/// </summary>
internal sealed class Predict(TrainerContext context, InferenceSetup setup)
{
    private const int Likeliest = 5;

    private readonly MemoryStream rows = new();

    /// <summary>False when a stop has been asked for: nothing is kept then.</summary>
    public bool Run(ImagePart part, CancellationToken cancellationToken)
    {
        var progress = new BatchProgress(context.Reporter, setup.Group.Rank == 0, part.Count, setup.GlobalBatchSize);
        if (!new InferencePass(setup, context.Stop, context.LoggerFactory.CreateLogger<Predict>()).Run(
            part, Memory<double>.Empty, Add, progress.BatchDone, cancellationToken))
            return false;
        StoreAsync(cancellationToken).GetAwaiter().GetResult();
        return true;
    }

    private void Add(int first, Tensor logits_NK, Tensor labels_N, Memory<double> sums)
    {
        var count = (int)Math.Min(Likeliest, logits_NK.shape[1]);
        var (probabilities_NT, classes_NT) = logits_NK.softmax(1).topk(count, 1);
        var probabilities = probabilities_NT.to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();
        var classes = classes_NT.cpu().contiguous().data<long>().ToArray();
        var labels = labels_N.cpu().data<long>().ToArray();
        for (var i = 0; i < labels.Length; i++)
        {
            var row = new Prediction { Index = first + i, Label = (int)labels[i], Predicted = (int)classes[i * count] };
            for (var t = i * count; t < (i + 1) * count; t++)
                row.Likeliest.Add(new ClassProbability { Class = (int)classes[t], Probability = probabilities[t] });
            row.WriteDelimitedTo(rows);
        }
    }

    private async Task StoreAsync(CancellationToken cancellationToken)
    {
        var snapshot = new CheckpointSnapshot
        {
            Step = 0,
            Epoch = 0,
            WorldSize = setup.Group.WorldSize,
            Parallelism = Parallelism.Data,
            Parts = setup.Group.WorldSize,
            Kind = ArtifactKind.Predictions,
        };
        snapshot.AddFile(CheckpointLayout.PredictionsFileOf(setup.Group.Rank), rows.ToArray());
        context.CheckpointWriter.Begin(snapshot);
        await context.CheckpointWriter.FlushAsync(cancellationToken);
    }
}
