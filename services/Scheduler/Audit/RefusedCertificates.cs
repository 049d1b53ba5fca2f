using System.Net;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;

namespace Cluster.Scheduler.Audit;

/// <summary>
/// Certificates that got no connection, such as another authority's: there is no call yet that could be noted, nor a token. Whose they are
/// is what they say themselves.
/// </summary>
internal sealed class RefusedCertificates(AuditLog log, TimeProvider time)
{
    /// <param name="origin">Who showed it; null: not known.</param>
    /// <param name="shown">What was shown.</param>
    public void Note(EndPoint? origin, X509Certificate2 shown) => log.AddIfRoom(leftOut => new AuditRow
    {
        Time = time.GetUtcNow(),
        Who = "",
        Token = "",
        Origin = $"{(origin as IPEndPoint)?.Address}",
        Action = "Connection/Certificate",
        Object = AuditObject.Clean(shown.Subject),
        Status = $"{StatusCode.Unauthenticated}",
        Detail = AuditObject.Clean($"not one that counts here, or run out; its authority is {shown.Issuer}"),
        LeftOut = leftOut,
    });
}
