namespace Cluster.Dashboard.Jobs;

/// <summary>The codes of why a job waits, in words.</summary>
internal static class WaitReasons
{
    public const string Infeasible = "infeasible";

    /// <summary>Of a running job: a step takes far longer than those before it.</summary>
    public const string Hung = "hung";

    public static string Words(string code) => code switch
    {
        "" => "placement has not looked at it yet",
        Infeasible => "the registered cluster can never run it",
        // waiting_for_devices, backing_off: they are words.
        _ => code.Replace('_', ' '),
    };
}
