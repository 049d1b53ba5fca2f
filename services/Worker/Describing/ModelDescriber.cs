using Cluster.Contracts.V1;
using Cluster.Models;
using Cluster.Models.Summary;
using Cluster.Worker.Parallel;
using Cluster.Worker.Training;
using Cluster.Worker.Training.Optimizers;
using Google.Protobuf;
using static TorchSharp.torch;
using MemoryEstimate = Cluster.Models.Summary.MemoryEstimate;

namespace Cluster.Worker.Describing;

/// <summary>
/// The process that an agent starts to take models apart, or to look at data: queries on standard input, answers on standard output, then
/// its end.
/// </summary>
/// <remarks>
/// A process of its own, so that libtorch never loads into the agent, and a network too large for this machine takes nothing else with it.
/// </remarks>
internal static class ModelDescriber
{
    public static int RunProcess()
    {
        Libc.DieWithParent();
        using var input = Console.OpenStandardInput();
        using var output = Console.OpenStandardOutput();
        var request = DescribeModelsRequest.Parser.ParseFrom(input);
        foreach (var query in request.Queries)
        {
            // One by one: if a later one ends the process, the answers before it have been given.
            Answer(query).WriteDelimitedTo(output);
            output.Flush();
        }

        if (request.Samples is { } samples)
            DataSampler.Answer(samples).WriteDelimitedTo(output);
        return 0;
    }

    public static ModelAnswer Answer(ModelQuery query)
    {
        try
        {
            return new ModelAnswer { Description = Describe(query) };
        }
        catch (Exception fault) when (fault is ModelOptionException or JobMisconfiguredException)
        {
            return new ModelAnswer { Fault = fault.Message };
        }
    }

    private static ModelDescription Describe(ModelQuery query)
    {
        using var scope = NewDisposeScope();
        var description = new ModelDescription();
        var options = TrainingPartitions.OptionsOf(query.Model);
        var precision = TrainingPartitions.PrecisionOf(query.Precision);
        if (query.Layers)
        {
            using var whole = ModelRegistry.CreateToLoad(query.Model.Name, options, precision);
            AddLayers(description, NetworkSummary.Of(whole));
        }

        if (query.RankBatchSize > 0)
        {
            using var part = query.Parts > 1
                ? ModelRegistry.CreatePart(query.Model.Name, options, seed: 0, Alone(query), precision)
                : ModelRegistry.CreateToLoad(query.Model.Name, options, precision);
            if (query.Precision == Precision.Bfloat16)
                MixedPrecision.Narrow(part);
            description.Memory = ToMessage(MemoryEstimate.Of(
                part, query.RankBatchSize, StatesPerParameter(query), query.GradientsSummed));
        }

        return description;
    }

    /// <summary>A part without its peers: what each of them would send is as large as its own.</summary>
    private static ChannelSplit Alone(ModelQuery query)
    {
        return query.Hybrid
            ? new ChannelSplit(Part: 0, query.Parts, Gather, scores_NK => Gather(scores_NK).narrow(0, 0, scores_NK.shape[0] / query.Parts))
            {
                GatherSamples = own => cat([.. Enumerable.Repeat(own, query.Parts)], dim: 0),
            }
            : new ChannelSplit(Part: 0, query.Parts, Gather, Gather);

        Tensor Gather(Tensor own) => cat([.. Enumerable.Repeat(own, query.Parts)], dim: 1);
    }

    /// <summary>
    /// As the optimizer itself has it for one parameter, or this rank's share of that, and the average where one is kept, which is whole
    /// on every rank.
    /// </summary>
    private static double StatesPerParameter(ModelQuery query)
    {
        using var optimizer = OptimizerFactory.Create(query.Optimizer, [new LocalParameter("weight", zeros(1), [1], [0], IsOwner: true)]);
        return ((double)optimizer.State.Count / Math.Max(1, query.StateShares)) + (query.Averaged ? 1 : 0);
    }

    private static void AddLayers(ModelDescription description, NetworkSummary summary)
    {
        description.Parameters = summary.Parameters;
        description.MultiplyAdds = summary.MultiplyAdds;
        description.Layers.AddRange(summary.Layers.Select(layer => new ModelLayer
        {
            Name = layer.Name,
            Kind = layer.Kind,
            OutputShape = { layer.OutputShape },
            Parameters = layer.Parameters,
            MultiplyAdds = layer.MultiplyAdds,
            OnlyInTraining = layer.OnlyInTraining,
        }));
    }

    private static Contracts.V1.MemoryEstimate ToMessage(MemoryEstimate estimate) => new()
    {
        Parameters = estimate.Parameters,
        Gradients = estimate.Gradients,
        OptimizerState = estimate.OptimizerState,
        Activations = estimate.Activations,
        Transient = estimate.Transient,
        Process = estimate.Resident - estimate.Total,
        Total = estimate.Resident,
        GpuOnly = estimate.GpuOnly,
    };
}
