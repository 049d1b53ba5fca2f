using Cluster.Contracts.Catalog;
using Cluster.Worker.Training;

namespace Cluster.Worker.Data;

/// <summary>A labelled image collection in memory, in its published parts.</summary>
/// <param name="Definition">Sizes, as the catalogue has them.</param>
/// <param name="Normalization">Of this data set's pixels.</param>
/// <param name="Train">Published training part.</param>
/// <param name="Test">Published test part.</param>
public sealed record ImageDataSet(DataDefinition Definition, PixelNormalization Normalization, ImagePart Train, ImagePart Test);

/// <summary>Some samples of a data set, in its order. A part shares its arrays with those that it was cut from.</summary>
/// <param name="Pixels">N × channels × height × width, 0 to 255.</param>
/// <param name="Labels">N classes.</param>
public sealed record ImagePart(ReadOnlyMemory<byte> Pixels, ReadOnlyMemory<byte> Labels)
{
    public int Count => Labels.Length;

    /// <summary>Samples [start, start + count).</summary>
    public ImagePart Slice(int start, int count)
    {
        var sampleBytes = Labels.Length == 0 ? 0 : Pixels.Length / Labels.Length;
        return new ImagePart(Pixels.Slice(start * sampleBytes, count * sampleBytes), Labels.Slice(start, count));
    }
}

/// <summary>(pixel / 255 − mean) / deviation, with the training part's statistics: inputs of zero mean and unit variance.</summary>
public readonly record struct PixelNormalization(float Mean, float StandardDeviation)
{
    public float Apply(byte pixel) => ((pixel / 255f) - Mean) / StandardDeviation;
}

/// <summary>What a job trains on, chooses by and is judged by.</summary>
/// <param name="Train">Begins with the training part's first sample.</param>
/// <param name="Validation">The training part's last samples, which no step sees.</param>
/// <param name="Test">As published.</param>
public sealed record DataParts(ImagePart Train, ImagePart Validation, ImagePart Test)
{
    /// <summary>Cuts a data set as a job asks.</summary>
    /// <param name="data">The whole.</param>
    /// <param name="validationSamples">Taken from the end of the training part.</param>
    /// <param name="trainSamples">Of what is left only the first so many (0: all).</param>
    public static DataParts Cut(ImageDataSet data, int validationSamples, int trainSamples)
    {
        var available = data.Train.Count - validationSamples;
        if (validationSamples < 0 || available <= 0)
            throw new JobMisconfiguredException($"data.validationSamples is {validationSamples} but {data.Definition.Name} has {data.Train.Count} training samples; lower it");
        if (trainSamples < 0 || trainSamples > available)
            throw new JobMisconfiguredException($"data.trainSamples is {trainSamples} but {data.Definition.Name} has {available} after {validationSamples} for validation; lower it");
        return new DataParts(
            data.Train.Slice(0, trainSamples == 0 ? available : trainSamples),
            data.Train.Slice(available, validationSamples),
            data.Test);
    }
}
