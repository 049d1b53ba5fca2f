namespace Cluster.Worker.Collectives;

/// <summary>
/// An exchange that goes on beside the caller's thread from the moment it is begun, before its turn to be waited for comes.
/// </summary>
internal interface IBegunExchange
{
    /// <summary>Returns when the values are there; throws what went wrong with it, in its beginning too.</summary>
    void Wait(in Operation operation);
}
