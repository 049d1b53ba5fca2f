using Cluster.Contracts.V1;
using Cluster.Worker.Data;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>
/// Which data sets this node has: looked for again and again, and told to the scheduler with the registration and whenever they change.
/// </summary>
/// <param name="look">For tests, of file systems that no test has.</param>
/// <remarks>
/// Looked for on threads of their own: a network file system may hold up whoever looks for minutes, and is not to hold up the lease.
/// </remarks>
internal sealed partial class DataOffer(
    IOptions<AgentOptions> options, AgentIdentity identity, SchedulerLink scheduler, TimeProvider timeProvider, ILogger<DataOffer> logger,
    Func<IReadOnlyList<string>>? look = null) : BackgroundService
{
    // A local disk answers in milliseconds. A node whose data root does not answer registers without data, and tells of it later.
    private static readonly TimeSpan LookPatience = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _looked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _telling = new(1, 1);
    private volatile IReadOnlyList<string> _found = [];
    private IReadOnlyList<string>? _told;

    /// <summary>Makes a registration, which tells of what has been found.</summary>
    public async Task<T> RegisterAsync<T>(Func<IReadOnlyList<string>, Task<T>> register, CancellationToken cancellationToken)
    {
        if (!await WithinAsync(_looked.Task, LookPatience, cancellationToken))
            LogSlow(options.Value.DataRoot, LookPatience.TotalSeconds);
        await _telling.WaitAsync(cancellationToken);
        try
        {
            var found = _found;
            var registered = await register(found);
            _told = found;
            return registered;
        }
        finally
        {
            _telling.Release();
        }
    }

    /// <summary>
    /// Looks whether a data set is gone. If so it is offered no more, and the scheduler is told before this returns, if it can be.
    /// </summary>
    public async Task<bool> IsGoneAsync(string name, CancellationToken cancellationToken)
    {
        var looking = OnItsOwnThread(() => DataSets.Has(options.Value.DataRoot, name));
        if (!await WithinAsync(looking, LookPatience, cancellationToken) || await looking)
            return false;
        _found = [.. _found.Where(found => found != name)];
        await TellChangesAsync(cancellationToken);
        return true;
    }

    public override void Dispose()
    {
        _telling.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var lookAgain = look ?? new DataScan(options.Value.DataRoot, LogUnusable).Look;
        while (true)
        {
            _found = await OnItsOwnThread(lookAgain).WaitAsync(stoppingToken);
            _looked.TrySetResult();
            await TellChangesAsync(stoppingToken);
            await Task.Delay(options.Value.DataScanInterval, timeProvider, stoppingToken);
        }
    }

    /// <summary>
    /// Tells a scheduler that knows this node what has come and gone. Tries once: the next look, or the next registration, tells it again.
    /// </summary>
    private async Task TellChangesAsync(CancellationToken cancellationToken)
    {
        await _telling.WaitAsync(cancellationToken);
        try
        {
            var found = _found;
            if (_told is not { } told || found.SequenceEqual(told))
                return;
            foreach (var name in found.Except(told))
                LogArrived(name);
            foreach (var name in told.Except(found))
                LogGone(name, options.Value.DataRoot);
            var (node, incarnation) = (identity.NodeId.ToString(), identity.Incarnation);
            var request = new UpdateDataSetsRequest { NodeId = node, Incarnation = incarnation, DataSets = { found } };
            await scheduler.Registry.UpdateDataSetsAsync(request, scheduler.AsNode(cancellationToken));
            _told = found;
        }
        catch (RpcException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            LogNotTold(e.Status);
        }
        finally
        {
            _telling.Release();
        }
    }

    private static Task<T> OnItsOwnThread<T>(Func<T> look) =>
        Task.Factory.StartNew(look, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private async Task<bool> WithinAsync(Task task, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            await task.WaitAsync(patience, timeProvider, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A data set is not offered: {Reason}")]
    private partial void LogUnusable(string reason);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "{DataRoot} (Agent:DataRoot) has not answered in {Seconds} s: the node registers without data, and tells of it later")]
    private partial void LogSlow(string dataRoot, double seconds);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The scheduler has not heard of the data sets that came or went ({Status}); it is told again soon")]
    private partial void LogNotTold(Status status);

    [LoggerMessage(Level = LogLevel.Information, Message = "Data set {DataSet} has arrived and is offered")]
    private partial void LogArrived(string dataSet);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Data set {DataSet} is no longer in {DataRoot}, or no longer whole, and is not offered any more")]
    private partial void LogGone(string dataSet, string dataRoot);
}
