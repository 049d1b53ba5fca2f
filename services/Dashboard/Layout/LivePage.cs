using Cluster.Contracts.Access;
using Cluster.Dashboard.Connection;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace Cluster.Dashboard.Layout;

/// <summary>
/// A page that follows what it shows for as long as it is open: over a scheduler's absence too, of which it says so and after which it
/// goes on by itself.
/// </summary>
public abstract class LivePage : ComponentBase, IAsyncDisposable
{
    /// <summary>Where a visitor without a session is led to.</summary>
    public const string SignInPath = "/sign-in";

    // Messages may come many times a second; a person sees no more than this.
    private static readonly TimeSpan ShowInterval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _leaving = new();
    private readonly List<Task> _following = [];
    private bool _hasNews;

    [Inject]
    protected Caller Caller { get; set; } = null!;

    [Inject]
    protected NavigationManager Navigation { get; set; } = null!;

    [Inject]
    protected TimeProvider Time { get; set; } = null!;

    /// <summary>Why nothing new comes at present; null: it does.</summary>
    protected string? OutOfTouch { get; private set; }

    /// <summary>What was asked for and refused, for good: no such job, say; null: nothing.</summary>
    protected string? Refusal { get; private set; }

    /// <summary>Cancelled when the page is left.</summary>
    protected CancellationToken Leaving => _leaving.Token;

    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync();
        await Task.WhenAll(_following);
        await LeaveAsync();
        _leaving.Dispose();
        GC.SuppressFinalize(this);
    }

    protected override void OnInitialized() => _following.Add(ShowNewsAsync());

    /// <summary>Called when the page is left and nothing follows any more.</summary>
    protected virtual ValueTask LeaveAsync() => ValueTask.CompletedTask;

    /// <summary>Reads to the end, and again from the beginning after each time that the schedulers were away.</summary>
    /// <param name="read">Calls <see cref="HasCome"/> for what it reads.</param>
    protected void Follow(Func<CancellationToken, Task> read) => _following.Add(FollowAsync(read));

    /// <summary>Reads now and then, for what no stream tells of.</summary>
    protected void Poll(TimeSpan interval, Func<CancellationToken, Task> read) => Follow(async cancellationToken =>
    {
        while (true)
        {
            await read(cancellationToken);
            HasCome();
            await Task.Delay(interval, Time, cancellationToken);
        }
    });

    /// <summary>There is something new to be shown, so the schedulers are there.</summary>
    protected void HasCome()
    {
        OutOfTouch = null;
        _hasNews = true;
    }

    /// <summary>Nothing new comes for now.</summary>
    protected void IsAway(RpcException fault) => (OutOfTouch, _hasNews) = (CallFault.Explain(fault), true);

    /// <summary>Does what the visitor asks for.</summary>
    /// <returns>Why it was not done, in words; null: it was.</returns>
    protected async Task<string?> TryAsync(Func<CallOptions, Task> act)
    {
        try
        {
            await act(await Caller.CallAsync(Leaving));
            return null;
        }
        catch (RpcException fault) when (fault.StatusCode == StatusCode.Unauthenticated)
        {
            SignInAgain();
            return null;
        }
        catch (RpcException fault)
        {
            return CallFault.Explain(fault);
        }
    }

    private async Task FollowAsync(Func<CancellationToken, Task> read)
    {
        var pause = FirstPause;
        while (true)
        {
            try
            {
                await read(Leaving);
                return;
            }
            catch (Exception fault) when (Leaving.IsCancellationRequested && fault is OperationCanceledException or RpcException)
            {
                return;
            }
            catch (RpcException fault) when (CallFault.IsPassing(fault))
            {
                // What had come in between shows that this is another absence.
                pause = OutOfTouch is null ? FirstPause : TimeSpan.FromTicks(Math.Min(2 * pause.Ticks, LongestPause.Ticks));
                IsAway(fault);
            }
            catch (RpcException fault) when (fault.Meaning() == StatusCode.Unauthenticated)
            {
                SignInAgain();
                return;
            }
            catch (RpcException fault)
            {
                (Refusal, _hasNews) = (CallFault.Explain(fault), true);
                return;
            }
            catch (Exception fault)
            {
                await DispatchExceptionAsync(fault);
                return;
            }

            await Task.Delay(pause, Time, Leaving).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
    }

    // The token has been withdrawn since.
    private void SignInAgain() =>
        Navigation.NavigateTo(
            $"{SignInPath}?to={Uri.EscapeDataString("/" + Navigation.ToBaseRelativePath(Navigation.Uri))}", forceLoad: true);

    private async Task ShowNewsAsync()
    {
        using var timer = new PeriodicTimer(ShowInterval, Time);
        try
        {
            while (await timer.WaitForNextTickAsync(Leaving))
            {
                if (!_hasNews)
                    continue;
                _hasNews = false;
                StateHasChanged();
            }
        }
        catch (OperationCanceledException) when (Leaving.IsCancellationRequested)
        {
            // The page was left.
        }
    }
}
