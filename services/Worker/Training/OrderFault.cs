using System.Runtime.InteropServices;

namespace Cluster.Worker.Training;

/// <summary>
/// Tells an operation that has no deterministic form from other faults: libtorch refuses it, by name, the first time that a job which
/// wants these runs it.
/// </summary>
internal static class OrderFault
{
    private const string Words = "does not have a deterministic implementation";

    /// <summary>
    /// What to tell the job's owner, or null if this is another fault. TorchSharp hands on libtorch's errors without their class, as text
    /// and backtrace.
    /// </summary>
    public static string? Find(Exception fault)
    {
        for (var cause = fault; cause is not null; cause = cause.InnerException)
        {
            if (cause is ExternalException && cause.Message.IndexOf(Words, StringComparison.Ordinal) is > 0 and var end)
            {
                return "hyperparameters.deterministic is true, but on a GPU libtorch adds up in no fixed order in "
                    + $"{cause.Message[..end].Trim()}, which this network needs; "
                    + "set it to false, use another network, or set resources.deviceKind to cpu";
            }
        }

        return null;
    }
}
