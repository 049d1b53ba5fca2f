using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;

namespace Cluster.Worker.Data.Pictures;

/// <summary>From a job's words to what its network sees.</summary>
public static class SampleRenderers
{
    private const int TenCrops = 10;

    /// <param name="data">What the job trains on.</param>
    /// <param name="spec">The job.</param>
    /// <param name="inputSize">Height and width that the network takes.</param>
    public static ISampleRenderer For(ImageDataSet data, JobSpec spec, int inputSize)
    {
        var augmentation = spec.Data.Augmentation ?? new();
        return data.Definition.IsFolder
            ? new CroppingRenderer(
                data.Normalization, data.Definition.ShorterSide, inputSize, augmentation,
                spec.Evaluation?.Crops == DataCatalog.TenCrops ? TenCrops : 1, spec.Seed)
            : new StoredRenderer(data.Normalization, inputSize, augmentation, spec.Seed);
    }
}
