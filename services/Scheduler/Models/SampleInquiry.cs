using Cluster.Contracts.Catalog;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Models;

/// <summary>Asks nodes for pictures of their data, as a job sees them.</summary>
/// <remarks>
/// One inquiry at a time: whoever looks at data must not keep nodes from telling what memory jobs will take, which the same process does.
/// </remarks>
internal sealed class SampleInquiry(NodeStore nodes, IGrainFactory grains, IOptions<ModelInquiryOptions> options) : IDisposable
{
    private const int NodesTried = 2;

    private readonly SemaphoreSlim _one = new(1, 1);

    /// <param name="spec">The job's.</param>
    /// <param name="epoch">From 0.</param>
    /// <param name="count">Pictures at most.</param>
    /// <param name="cancellationToken">Nobody waits for the answer any more.</param>
    /// <returns>The pictures, or null and why there are none, in words.</returns>
    public async Task<(DataSamples? Samples, string Why)> AskAsync(
        JobSpec spec, int epoch, int count, CancellationToken cancellationToken)
    {
        var request = new DescribeModelsRequest
        {
            Samples = new SampleQuery
            {
                Data = spec.Data,
                Seed = spec.Seed,
                Epoch = epoch,
                InputSize = InputSizeOf(spec.Model),
                Count = count,
            },
        };
        var name = DataCatalog.AdvertisedName(spec.Data);
        await _one.WaitAsync(cancellationToken);
        try
        {
            var why = $"no node that is ready has the data {name}";
            var holders = (await nodes.AllAsync(cancellationToken))
                .Where(node => node.State == NodeState.Ready && node.DataSets.Contains(name)).OrderByDescending(node => node.RegisteredAt);
            foreach (var node in holders.Take(NodesTried))
            {
                var order = DescribeOrder.For(request, options.Value.AnswerDeadline);
                var result = await grains.GetGrain<INodeGrain>(node.Id).DescribeAsync(order);
                var answer = result.Read().Answers.LastOrDefault();
                if (answer?.Samples is { } samples)
                    return (samples, "");
                why = $"node {node.Name} gave no answer ({(answer is null ? result.Detail : answer.Fault)})";
            }

            return (null, why);
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    // That of the published network where the job does not say.
    private static int InputSizeOf(ModelSpec model) => model.Options.TryGetValue(ModelCatalog.InputSize, out var given)
        ? (int)given.IntValue
        : ModelCatalog.TryGet(model.Name, out var known) ? known.Facts.InputSize : 0;
}
