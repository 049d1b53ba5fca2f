using Grpc.Core;

namespace Cluster.Scheduler.Access;

/// <summary>Whether who was let in would still be, asked while the call goes on: a token may be revoked meanwhile, or expire.</summary>
/// <param name="ask">The refusal that a new call would meet; null: none.</param>
public sealed class CallerStanding(Func<RpcException?> ask)
{
    /// <returns>Null: the caller is none whose token can end, such as a trainer, whose attempt ends instead.</returns>
    public static CallerStanding? TryOf(ServerCallContext context) =>
        context.UserState.TryGetValue(typeof(CallerStanding), out var standing) ? standing as CallerStanding : null;

    /// <returns>Unauthenticated, in words; null: the caller is still let in.</returns>
    public RpcException? Refusal() => ask();
}
