using System.Runtime.InteropServices;
using Cluster.Contracts.Safetensors;
using Cluster.Contracts.V1;
using Cluster.Worker.Checkpoints;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training.Optimizers;
using TorchSharp;

namespace Cluster.Worker.Training;

/// <summary>
/// What of a run goes into a checkpoint, and back: parameters and running statistics (averaged, where the job averages them), optimizer
/// state, position.
/// </summary>
internal static class TrainingCheckpoint
{
    /// <summary>Slot of the weights that training goes on from, where the model's file holds their running average.</summary>
    private const string CurrentSlot = "current";

    /// <summary>
    /// Slot of the running statistics that each rank keeps of its own slices, where the model's file holds their average: a row a rank, its
    /// share of the batch first.
    /// </summary>
    private const string RanksSlot = "ranks";

    /// <summary>Copies this rank's part, or null when other ranks own all that it holds.</summary>
    /// <param name="setup">The run.</param>
    /// <param name="position">Where it stands.</param>
    /// <param name="validationAccuracy">Of this position, if it has been validated.</param>
    /// <param name="statistics">All ranks' running statistics, of which the network holds the average now; null where all hold the
    /// same.</param>
    /// <exception cref="JobMisconfiguredException">A value is not finite: such a checkpoint would be chosen to go on from.</exception>
    public static CheckpointSnapshot? Take(
        TrainingSetup setup, TrainingPosition position, double? validationAccuracy, AveragedStatistics? statistics)
    {
        var owned = setup.Partition.Parameters.Where(parameter => parameter.IsOwner).ToDictionary(parameter => parameter.Name);
        var optimized = setup.Optimizer.State.Where(state => state.Parameter.IsOwner).ToList();
        if (owned.Count == 0 && optimized.Count == 0)
            return null;

        var rank = setup.Group.Rank;
        var networkIsSplit = setup.Spec.Parallelism != Parallelism.Data && setup.Group.WorldSize > 1;
        var snapshot = new CheckpointSnapshot
        {
            Step = position.StepsDone,
            Epoch = setup.Plan.EpochOf(Math.Max(0, position.StepsDone - 1)) + 1,
            WorldSize = setup.Group.WorldSize,
            Parallelism = setup.Spec.Parallelism,
            Parts = Parts(setup),
            ValidationAccuracy = validationAccuracy,
        };
        using var scope = torch.NewDisposeScope();
        var modelFile = networkIsSplit ? CheckpointLayout.ModelFileOf(rank) : CheckpointLayout.ModelFile;
        var optimizerFile = CheckpointLayout.OptimizerFileOf(rank);
        foreach (var parameter in owned.Values)
            AddWeights(parameter.Name, parameter.Tensor, parameter.GlobalShape, parameter.Offset);
        foreach (var pieces in optimized.GroupBy(state => StateName(state.Slot, state.Parameter.Name)))
        {
            foreach (var (piece, (parameter, _, tensor)) in pieces.Index())
                AddSlice(CheckpointLayout.OptimizerFileOf(rank, piece), pieces.Key, tensor, parameter.GlobalShape, parameter.Offset);
        }

        if (rank == 0 || (setup.Spec.Parallelism == Parallelism.Pipeline && owned.Count > 0))
        {
            // Every rank, or every one of a pipeline's stage, holds these whole and the same.
            foreach (var (name, buffer) in setup.Network.Buffers())
                AddWeights(name, buffer, buffer.shape, new long[buffer.dim()]);
            if (statistics is not null)
            {
                var rows = torch.tensor([.. statistics.OfAllRanks]).view(-1, statistics.RowLength);
                AddSlice(optimizerFile, RowsName(setup), rows, rows.shape, [0, 0]);
            }
        }

        if (rank == 0)
            snapshot.AddFile(TrainingPosition.FileName, position.ToJson());

        return snapshot;

        void AddWeights(string name, torch.Tensor current, IReadOnlyList<long> globalShape, IReadOnlyList<long> offset)
        {
            AddSlice(modelFile, name, setup.Average?.Of(name) ?? current, globalShape, offset);
            if (setup.Average is not null)
                AddSlice(optimizerFile, StateName(CurrentSlot, name), current, globalShape, offset);
        }

        void AddSlice(string file, string name, torch.Tensor tensor, IReadOnlyList<long> globalShape, IReadOnlyList<long> offset)
        {
            using var scope = torch.NewDisposeScope(); // a span of a tensor's memory does not keep the tensor
            RequireFinite(tensor, name, position.StepsDone);
            snapshot.AddTensor(
                file, name, TensorBytes.NameOf(tensor.dtype), [.. globalShape], [.. offset], tensor.shape,
                tensor.detach().cpu().contiguous().bytes);
        }
    }

    private static void RequireFinite(torch.Tensor tensor, string name, long step)
    {
        if (tensor.is_floating_point() && !tensor.isfinite().all().item<bool>())
        {
            throw new JobMisconfiguredException(
                $"{name} holds values that are not finite after step {step}, so no checkpoint is made of them; "
                    + "lower hyperparameters.optimizer.learningRate, and go on from a checkpoint before that step");
        }
    }

    /// <summary>Overwrites parameters, running statistics and optimizer state, whatever split they were written by.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of another model, optimizer or precision.</exception>
    public static async Task<TrainingPosition> RestoreAsync(
        TrainingSetup setup, CheckpointReader reader, CancellationToken cancellationToken)
    {
        foreach (var parameter in setup.Partition.Parameters)
            await ReadWeightsAsync(parameter.Name, parameter.Tensor, parameter.GlobalShape, parameter.Offset);
        foreach (var (name, buffer) in setup.Network.Buffers())
            await ReadWeightsAsync(name, buffer, buffer.shape, new long[buffer.dim()]);
        foreach (var (parameter, slot, tensor) in setup.Optimizer.State)
            await ReadSliceAsync(StateName(slot, parameter.Name), tensor, parameter.GlobalShape, parameter.Offset);
        await RestoreOwnStatisticsAsync(setup, reader, cancellationToken);
        return TrainingPosition.FromJson(await reader.ReadFileAsync(TrainingPosition.FileName, cancellationToken));

        async Task ReadWeightsAsync(string name, torch.Tensor current, IReadOnlyList<long> globalShape, IReadOnlyList<long> offset)
        {
            if (setup.Average is null)
            {
                await ReadSliceAsync(name, current, globalShape, offset);
                return;
            }

            await ReadSliceAsync(name, setup.Average.Of(name), globalShape, offset);
            await ReadSliceAsync(StateName(CurrentSlot, name), current, globalShape, offset);
        }

        async Task ReadSliceAsync(string name, torch.Tensor tensor, IReadOnlyList<long> globalShape, IReadOnlyList<long> offset)
        {
            if (await reader.DTypeAsync(name, cancellationToken) is var stored && stored != TensorBytes.NameOf(tensor.dtype))
                throw new InvalidDataException(
                    $"the checkpoint holds {name} as {stored}, the job trains in {TensorBytes.NameOf(tensor.dtype)}");
            if (!reader.GlobalShape(name).SequenceEqual(globalShape))
                throw new InvalidDataException($"the checkpoint holds {name} as {Shapes.Text([.. reader.GlobalShape(name)])}, "
                    + $"the model has {Shapes.Text([.. globalShape])}");
            TensorBytes.Overwrite(tensor, stored, await reader.ReadSliceAsync(name, offset, tensor.shape, cancellationToken));
        }
    }

    /// <summary>
    /// At the same number of ranks each goes on from its own statistics; at another, from the average, which has been read.
    /// </summary>
    private static async Task RestoreOwnStatisticsAsync(TrainingSetup setup, CheckpointReader reader, CancellationToken cancellationToken)
    {
        if (setup.Partition.OwnStatistics is not { } statistics || !reader.HasTensor(RowsName(setup)))
            return;
        var (name, ranks) = (RowsName(setup), statistics.Ranks);
        if (!reader.GlobalShape(name).SequenceEqual([ranks.WorldSize, statistics.RowLength]))
            return;
        var row = await reader.ReadSliceAsync(name, [ranks.Rank, 0], [1, statistics.RowLength], cancellationToken);
        statistics.Restore(MemoryMarshal.Cast<byte, double>(row));
    }

    /// <summary>A pipeline's stages keep theirs apart, by the first of their layers.</summary>
    private static string RowsName(TrainingSetup setup) => StateName(RanksSlot, setup.Partition.OwnStatistics!.Running[0].Name);

    /// <summary>
    /// Ranks that hand in a part: one where all hold the same, one copy's where the network is divided and copied, else all.
    /// </summary>
    private static int Parts(TrainingSetup setup)
    {
        if (setup.Optimizer is ShardedOptimizer)
            return setup.Group.WorldSize;
        return setup.Spec.Parallelism == Parallelism.Data ? 1 : setup.Group.WorldSize / Math.Max(1, setup.Spec.Mesh?.Data ?? 1);
    }

    private static string StateName(string slot, string parameter) => $"{slot}.{parameter}";
}
