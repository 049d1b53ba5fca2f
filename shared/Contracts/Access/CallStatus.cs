using Grpc.Core;

namespace Cluster.Contracts.Access;

/// <summary>What a call's status means.</summary>
public static class CallStatus
{
    /// <summary>
    /// The status, but Unavailable where the connection broke under the call: what a ping found out, or the other side's pings, gRPC's
    /// client calls Internal, as if the server had answered so.
    /// </summary>
    public static StatusCode Meaning(this RpcException fault) => fault.StatusCode switch
    {
        StatusCode.Internal when IsOfTheConnection(fault.Status.DebugException) => StatusCode.Unavailable,
        var code => code,
    };

    private static bool IsOfTheConnection(Exception? cause)
    {
        for (; cause is not null; cause = cause.InnerException)
        {
            if (cause is HttpIOException or HttpRequestException)
                return true;
        }

        return false;
    }
}
