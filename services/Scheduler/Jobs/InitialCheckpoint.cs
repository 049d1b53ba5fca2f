using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;

namespace Cluster.Scheduler.Jobs;

/// <summary>Settles at submit which checkpoint a job begins with: a later one of the same job changes nothing any more.</summary>
internal sealed class InitialCheckpoint(CheckpointQueries checkpoints, JobQueries jobs)
{
    /// <returns>The spec with the checkpoint's whole id; the same spec where it names no checkpoint and no job.</returns>
    /// <exception cref="InitialCheckpointException">There is none, or the prefix may mean several, or it is of another model.</exception>
    public async Task<JobSpec> PinAsync(JobSpec spec, CancellationToken cancellationToken)
    {
        var from = spec.InitFrom ?? new InitFrom();
        if (from.Checkpoint.Length == 0 && from.Job.Length == 0)
            return spec;
        var (found, field) = from.Checkpoint.Length > 0
            ? (await FindAsync(from.Checkpoint, cancellationToken), $"initFrom.checkpoint is {from.Checkpoint}")
            : (await ChooseAsync(from, cancellationToken), $"initFrom.job is {from.Job}");
        RequireModel(spec, found, field);
        var pinned = spec.Clone();
        pinned.InitFrom = new InitFrom { Checkpoint = found.Id, NewHead = from.NewHead };
        return pinned;
    }

    private async Task<Checkpoint> FindAsync(string text, CancellationToken cancellationToken)
    {
        var field = $"initFrom.checkpoint is {text}";
        if (!IdPrefix.TryParse(text, out var prefix))
            throw new InitialCheckpointException($"{field} but must be an id or its beginning; copy it from ./cluster checkpoint list");
        var found = await checkpoints.FindAsync(prefix, cancellationToken);
        return found.Count switch
        {
            0 => throw new InitialCheckpointException($"{field} but no checkpoint's id begins so; ./cluster checkpoint list shows them"),
            1 => found[0],
            _ => throw new InitialCheckpointException($"{field}, with which several checkpoints' ids begin; give more of it"),
        };
    }

    private async Task<Checkpoint> ChooseAsync(InitFrom from, CancellationToken cancellationToken)
    {
        var field = $"initFrom.job is {from.Job}";
        var found = IdPrefix.TryParse(from.Job, out var prefix) ? await jobs.FindAsync(prefix, limit: 2, cancellationToken) : [];
        if (found.Count != 1)
        {
            throw new InitialCheckpointException(found.Count == 0
                ? $"{field} but no job's id begins so; ./cluster job list shows them"
                : $"{field}, with which several jobs' ids begin; give more of it");
        }

        return await checkpoints.ChooseAsync(found[0], from.Which, cancellationToken) ?? throw new InitialCheckpointException(
            from.Which == CheckpointChoice.Best
                ? $"{field} but none of its checkpoints was validated; use which: latest"
                : $"{field} but it has no checkpoint yet; wait for one or name another job");
    }

    private static void RequireModel(JobSpec spec, Checkpoint checkpoint, string field)
    {
        if (checkpoint.Model.Name != spec.Model.Name)
        {
            throw new InitialCheckpointException(
                $"{field}, which holds weights of {checkpoint.Model.Name}, but model.name is {spec.Model.Name}; "
                    + $"use model {checkpoint.Model.Name} or other weights");
        }

        if (checkpoint.JobId.Length > 0)
            return;
        foreach (var (name, given) in checkpoint.Model.Options.Where(
            option => !(spec.InitFrom.NewHead && option.Key == ModelCatalog.Classes)))
        {
            if (spec.Model.Options.TryGetValue(name, out var value) && !value.Equals(given))
            {
                throw new InitialCheckpointException(
                    $"{field}, imported with {name} {OptionDefinition.Text(given)}, "
                        + $"but model.options.{name} is {OptionDefinition.Text(value)}; make them equal");
            }
        }
    }
}
