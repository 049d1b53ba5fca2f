namespace Cluster.Worker.Parallel;

/// <summary>
/// What ranks tell each other in the midst of a forward and backward pass. In training a rank without samples passes through too, or the
/// others would wait for it.
/// </summary>
internal interface IPassExchange
{
    /// <summary>Whether evaluation's forward passes need it as well.</summary>
    bool IsInEvaluation { get; }

    /// <summary>Time that computation stood still for it since <see cref="Begin"/>.</summary>
    TimeSpan Elapsed { get; }

    /// <summary>Before a step.</summary>
    void Begin();

    /// <summary>Throws what could not pass through libtorch, after backward.</summary>
    void ThrowIfFaulted();
}
