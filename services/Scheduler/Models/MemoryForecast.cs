using Cluster.Contracts;
using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Models;

/// <summary>What memory a job's ranks will take, for placement to go by.</summary>
internal sealed class MemoryForecast(ModelInquiry inquiry, IOptions<ModelInquiryOptions> options)
{
    /// <summary>Without asking anybody.</summary>
    public Forecast Known(JobSpec spec)
    {
        if (!spec.IsTraining())
            return new Forecast(true, null);
        return inquiry.Known(QueryFor(spec)) is { } finding ? new Forecast(true, Of(spec, finding)) : new Forecast(false, null);
    }

    /// <summary>As long as a job would wait for it.</summary>
    /// <inheritdoc cref="AskAsync"/>
    public async Task<MemoryEstimate?> OfAsync(JobSpec spec, CancellationToken cancellationToken) =>
        (await AskAsync(spec, options.Value.ForecastPatience, cancellationToken)).Memory;

    /// <returns>
    /// Not settled where there is nobody to ask yet. Of one rank; null where no node can tell in time, for a job that does not train, which
    /// takes far less, and for one that cannot be read: it is then placed without.
    /// </returns>
    public async Task<Forecast> AskAsync(JobSpec spec, TimeSpan patience, CancellationToken cancellationToken)
    {
        if (!spec.IsReadable() || !spec.IsTraining())
            return new Forecast(true, null);
        var finding = await inquiry.AskAsync(QueryFor(spec), patience, cancellationToken);
        return new Forecast(finding?.NextAgent is null, Of(spec, finding)) { NextAgent = finding?.NextAgent };
    }

    private static MemoryEstimate? Of(JobSpec spec, ModelFinding? finding) =>
        finding?.Answer?.Description?.Memory is { } memory ? WithData(memory, spec.Data) : null;

    /// <summary>
    /// Each rank holds the data set, or decodes its pictures, in its process's memory wherever its device is. The answer itself is
    /// everyone's and stays as it is.
    /// </summary>
    private static MemoryEstimate WithData(MemoryEstimate memory, DataSpec data)
    {
        var dataBytes = (DataCatalog.Of(data)?.HeldBytes ?? 0) + DataCatalog.DecodingBytes(data);
        var whole = memory.Clone();
        whole.Process += dataBytes;
        whole.Total += dataBytes;
        return whole;
    }

    private static ModelQuery QueryFor(JobSpec spec) => new()
    {
        Model = spec.Model,
        RankBatchSize = RankBatchSize(spec),
        Optimizer = spec.Hyperparameters.Optimizer,
        Precision = spec.Hyperparameters.Precision,
        Parts = spec.Parallelism == Parallelism.Hybrid ? spec.Resources.Devices : spec.Mesh?.Model ?? 1,
        Hybrid = spec.Parallelism == Parallelism.Hybrid,
        Averaged = spec.Hyperparameters.AverageDecay > 0,
        StateShares = spec.Hyperparameters.ShardOptimizer ? FewestSlices(spec) : 1,
        GradientsSummed = spec.Mesh is { Data: > 1 },
    };

    /// <summary>An elastic job's slices, and shares of the optimizer's state, are largest with the fewest devices.</summary>
    private static int FewestSlices(JobSpec spec) =>
        spec.Resources.MinDevices > 0 ? spec.Resources.MinDevices : Math.Max(spec.Mesh?.Data ?? 1, 1);

    /// <summary>
    /// Images in one pass: a rank sees its slice of a batch, or a part of that at a time with accumulation. The first slices and passes
    /// have one image more where it does not divide. The first stage of a pipeline holds as many micro-batches as there are stages; it is
    /// cut only once it runs, so that its rank counts as one that has the whole network, which is more than any stage takes.
    /// </summary>
    private static int RankBatchSize(JobSpec spec)
    {
        var slices = spec.Parallelism == Parallelism.Hybrid ? spec.Resources.Devices : FewestSlices(spec);
        if (spec.Parallelism == Parallelism.Pipeline)
        {
            var share = LargestPart(spec.Hyperparameters.GlobalBatchSize, slices);
            return Math.Min(share, spec.Mesh!.Pipeline * LargestPart(share, spec.Hyperparameters.MicroBatches));
        }

        return LargestPart(LargestPart(spec.Hyperparameters.GlobalBatchSize, slices), Math.Max(spec.Hyperparameters.AccumulationSteps, 1));
    }

    private static int LargestPart(int whole, int parts) => (whole + parts - 1) / parts;
}

/// <param name="IsSettled">False: it is still to be asked for.</param>
/// <param name="Memory">What one rank is expected to take; null: not known.</param>
internal readonly record struct Forecast(bool IsSettled, MemoryEstimate? Memory)
{
    /// <inheritdoc cref="ModelFinding.NextAgent"/>
    public Task? NextAgent { get; init; }
}
