using Cluster.Contracts.V1;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Training;

/// <summary>Tells, while it lasts, of a step that takes far longer than those before it, and what this rank is at meanwhile.</summary>
/// <remarks>What becomes of it the exchanges' own deadlines say, and the scheduler's patience.</remarks>
internal sealed class StepWatch : IDisposable
{
    /// <summary>A step is not told of before it has taken so long: shorter ones hang on a busy machine, too, and go on.</summary>
    public static readonly TimeSpan Least = TimeSpan.FromSeconds(10);

    private const int TimesTheMedian = 5;
    private const int Remembered = 31;

    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);

    // The scheduler forgets with its process.
    private static readonly TimeSpan ToldAgainAfter = TimeSpan.FromSeconds(10);

    private readonly OperationBoard _operations;
    private readonly TrainerReporter _reporter;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly Queue<TimeSpan> _last = new();
    private (long Step, long Began)? _underWay;
    private (string Operation, long At)? _told;

    public StepWatch(OperationBoard operations, TrainerReporter reporter, TimeProvider time)
    {
        (_operations, _reporter, _time) = (operations, reporter, time);
        _timer = time.CreateTimer(_ => Look(), null, LookInterval, LookInterval);
    }

    /// <param name="step">From 0.</param>
    public void Begin(long step)
    {
        lock (_gate)
            _underWay = (step, _time.GetTimestamp());
    }

    public void End()
    {
        lock (_gate)
        {
            _last.Enqueue(_time.GetElapsedTime(_underWay!.Value.Began));
            if (_last.Count > Remembered)
                _last.Dequeue();
            _underWay = null;
            if (_told is not null)
                _reporter.Stall(new StepStall());
            _told = null;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        lock (_gate)
        {
            // The first step makes much that later ones find.
            if (_underWay is not var (step, began) || _last.Count == 0 || _time.GetElapsedTime(began) < Patience())
                return;
            var operation = _operations.Oldest() ?? "";
            if (_told is var (told, at) && told == operation && _time.GetElapsedTime(at) < ToldAgainAfter)
                return;
            _told = (operation, _time.GetTimestamp());
            _reporter.Stall(new StepStall { Step = step + 1, Operation = operation });
        }
    }

    private TimeSpan Patience()
    {
        var median = _last.Order().ElementAt(_last.Count / 2);
        return TimesTheMedian * median > Least ? TimesTheMedian * median : Least;
    }
}
