using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Dashboard.Charts;
using Cluster.Dashboard.Connection;
using Grpc.Core;

namespace Cluster.Dashboard.Compare;

/// <summary>A run beside others, until it is taken away or the page is left.</summary>
internal sealed class ComparedRun(string id, RunCurves curves, CancellationToken leaving)
{
    private readonly CancellationTokenSource _taken = CancellationTokenSource.CreateLinkedTokenSource(leaving);

    /// <summary>As the address has it: the beginning of the job's id is enough.</summary>
    public string Id => id;

    public RunCurves Curves => curves;

    /// <summary>Null until it has been read.</summary>
    public Job? Job { get; set; }

    /// <summary>Why it cannot be had, in words; null: it can, as far as is known.</summary>
    public string? Refusal { get; private set; }

    public void Leave() => _taken.Cancel();

    /// <summary>That it is taken away is no fault.</summary>
    public async Task UntilLeftAsync(Func<CancellationToken, Task> follow)
    {
        try
        {
            await follow(_taken.Token);
        }
        catch (Exception fault) when (_taken.IsCancellationRequested && fault is OperationCanceledException or RpcException)
        {
            // Nobody looks any more.
        }
        catch (RpcException fault) when (fault.Meaning() is StatusCode.NotFound or StatusCode.InvalidArgument)
        {
            // The others can be compared without it.
            Refusal = CallFault.Explain(fault);
        }
    }
}
