using System.Text.Json;
using Cluster.Contracts.Safetensors;

namespace Cluster.Worker.Training;

/// <summary>
/// How far a run has come: with the parameters, the optimizer's state and the job itself, all that its continuation depends on.
/// </summary>
/// <param name="StepsDone">Optimizer steps.</param>
/// <param name="EpochsClosed">Epochs that have been validated. One less than the epochs trained when a stop came between the two.</param>
/// <param name="Plateau">What the plateau schedule has seen of validation; null with other schedules.</param>
/// <param name="ChannelsLast">
/// Which layout of images was measured to be the quicker when the run began, on whose bits it depends; null where none was measured.
/// </param>
/// <param name="Kernels">
/// Whether kernels of our own were then measured to be as quick as libtorch's operators; null where that was not measured, and they are
/// used.
/// </param>
public sealed record TrainingPosition(
    long StepsDone, int EpochsClosed, Plateau? Plateau = null, bool? ChannelsLast = null, bool? Kernels = null)
{
    /// <summary>The file of a checkpoint that holds it.</summary>
    public const string FileName = CheckpointLayout.PositionFile;

    public static TrainingPosition Start { get; } = new(0, 0);

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, JsonSerializerOptions.Web);

    /// <exception cref="InvalidDataException">Not a position.</exception>
    public static TrainingPosition FromJson(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize<TrainingPosition>(json, JsonSerializerOptions.Web)
                ?? throw new InvalidDataException($"{FileName} is null");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{FileName} of the checkpoint cannot be read: {e.Message}", e);
        }
    }
}
