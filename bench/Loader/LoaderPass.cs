using System.Diagnostics;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Cluster.Worker.Data.Loading;
using Cluster.Worker.Data.Pictures;

namespace Cluster.Bench.Loader;

/// <summary>One pass over the pictures, to be measured.</summary>
/// <param name="Source">A data set's name: "image-folder" or "raw-shards".</param>
/// <param name="View">"training": a random resized crop, flipped; "evaluation": the middle.</param>
/// <param name="Threads">That make batches ready.</param>
internal sealed record LoaderOrder(string Source, string View, int Threads);

/// <summary>What a pass took.</summary>
internal sealed record LoaderTime(double Seconds, int Images);

/// <summary>This system's loader over a folder of pictures.</summary>
internal sealed class LoaderPass
{
    private const int InputSize = 224;
    private const int BatchSize = 64;

    private readonly ImageDataSet _data;
    private readonly ISampleRenderer _renderer;

    /// <param name="dataRoot">Where the folder is.</param>
    /// <param name="source">Its layout.</param>
    /// <param name="folder">Its name.</param>
    /// <param name="classes">Of its pictures.</param>
    public LoaderPass(string dataRoot, string source, string folder, int classes)
    {
        var spec = new JobSpec
        {
            Seed = 1,
            Data = new DataSpec
            {
                Name = source,
                Folder = folder,
                Classes = classes,
                Normalization = new Normalization { Mean = "0.485 0.456 0.406", Deviation = "0.229 0.224 0.225" },
                Augmentation = new Augmentation { Crop = DataCatalog.RandomResizedCrop, MinScale = 0.08, MaxRatio = 4 / 3.0, Flip = true },
            },
        };
        _data = DataSetReader.Read(spec.Data, dataRoot);
        _renderer = SampleRenderers.For(_data, spec, InputSize);
    }

    public LoaderTime Run(LoaderOrder order, int epoch, CancellationToken cancellationToken)
    {
        var visit = order.View == "training" ? new Visit(epoch) : Visit.Evaluation;
        var samples = EpochOrder.Shuffled(seed: 1, epoch, _data.Train.Count);
        var began = Stopwatch.GetTimestamp();
        using var batches = new BatchPrefetcher(
            new BatchPass(_data.Train, _renderer, visit), BatchSchedule.Evaluation(samples, BatchSize, size => ..size), order.Threads);
        var images = 0;
        while (batches.TryTake(out var batch, cancellationToken))
        {
            images += batch.Samples;
            batch.Dispose();
        }

        return new LoaderTime(Stopwatch.GetElapsedTime(began).TotalSeconds, images);
    }
}
