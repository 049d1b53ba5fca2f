using Cluster.Contracts.Catalog;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Training;

namespace Cluster.Worker.Data;

/// <summary>A labelled image collection in its published parts.</summary>
/// <param name="Definition">Sizes, as the catalogue and the job file have them.</param>
/// <param name="Normalization">Of this data set's pixels.</param>
/// <param name="Train">Published training part.</param>
/// <param name="Test">Published test part; may be empty.</param>
/// <param name="Validation">Published validation part; null where it is cut from the training part.</param>
public sealed record ImageDataSet(
    DataDefinition Definition, ChannelNormalization Normalization, ImagePart Train, ImagePart Test, ImagePart? Validation = null)
{
    /// <summary>What of it is passed over, for the job's log.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>What a job trains on, chooses by and is judged by.</summary>
/// <param name="Train">Begins with the training part's first sample.</param>
/// <param name="Validation">As published, or the training part's last samples, which no step sees.</param>
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
            throw new JobMisconfiguredException(
                $"data.validationSamples is {validationSamples} but {data.Definition.Name} has {data.Train.Count} "
                    + "training samples; lower it");
        if (trainSamples < 0 || trainSamples > available)
            throw new JobMisconfiguredException(
                $"data.trainSamples is {trainSamples} but {data.Definition.Name} has {available} after {validationSamples} "
                    + "for validation; lower it");
        return new DataParts(
            data.Train.Slice(0, trainSamples == 0 ? available : trainSamples),
            data.Validation ?? data.Train.Slice(available, validationSamples),
            data.Test);
    }
}
