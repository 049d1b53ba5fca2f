namespace Cluster.Worker.Collectives.SharedMemory;

/// <summary>Messages from one rank to another of its node: the sender fills the pair's mailbox, the receiver empties it, portion by portion.</summary>
internal sealed unsafe class Mailboxes(byte* segment, SegmentLayout layout, NodeRanks ranks, int me)
{
    public void Send(ReadOnlySpan<byte> message, int destination, in Operation operation)
    {
        var at = layout.MailboxAt(me, destination);
        var box = (MailboxHeader*)(segment + at);
        do
        {
            var portion = message[..Math.Min(message.Length, SegmentLayout.MailboxBytes)];
            ranks.AwaitAtLeast(&box->Emptied, &box->EmptiedSleepers, box->Filled, destination, operation);
            box->MessageBytes = operation.Bytes;
            portion.CopyTo(new Span<byte>(segment + SegmentLayout.MailboxData(at), portion.Length));
            NodeRanks.Advance(&box->Filled, &box->FilledSleepers);
            message = message[portion.Length..];
        }
        while (!message.IsEmpty);
    }

    public void Receive(Span<byte> message, int source, in Operation operation)
    {
        var at = layout.MailboxAt(source, me);
        var box = (MailboxHeader*)(segment + at);
        do
        {
            ranks.AwaitAtLeast(&box->Filled, &box->FilledSleepers, box->Emptied + 1, source, operation);
            if (box->MessageBytes != operation.Bytes)
                throw operation.OutOfStep(ranks.GlobalRank(source), OperationKind.PointToPoint, box->MessageBytes);
            var portion = message[..Math.Min(message.Length, SegmentLayout.MailboxBytes)];
            new Span<byte>(segment + SegmentLayout.MailboxData(at), portion.Length).CopyTo(portion);
            NodeRanks.Advance(&box->Emptied, &box->EmptiedSleepers);
            message = message[portion.Length..];
        }
        while (!message.IsEmpty);
    }
}
